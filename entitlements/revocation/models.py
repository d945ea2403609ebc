"""Revocations, drills of them, their receipts, and proofs that what was stopped is refused."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Stop(models.Model):
    """What was stopped, and the stored receipt: which node obeyed after how long, and what may outlive it elsewhere.

    `covered` counts what it ended: access tokens and ID-JAGs that were alive, and open sessions. `effect` counts what
    it reached, as it was before.
    """

    kind: ClassVar[str]
    """What links of the audit log name it by."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target_type = models.CharField(max_length=16)
    target_id = models.CharField(max_length=1200)
    reason = models.CharField(max_length=500)
    ticket = models.CharField(max_length=64, blank=True, default="", db_default="")
    by = models.CharField(max_length=120)
    change_id = models.BigIntegerField(null=True)
    position = models.BigIntegerField(null=True)
    committed_at = models.DateTimeField()
    acknowledged = models.JSONField(default=list)
    missing = models.JSONField(default=list)
    covered = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    effect = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    residual = models.JSONField(default=list)
    receipt = models.TextField(blank=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ["-committed_at"]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def link(self) -> str:
        """What the audit log names it by."""
        return f"{self.kind}:{self.pk}"


class Revocation(Stop):
    """A stop that is in force."""

    kind = "revocation"


class Drill(Stop):
    """A stop that was carried out and undone in one transaction: all is measured, and nothing is stopped.

    It has a table of its own, so that whatever counts revocations counts no drill.
    """

    kind = "drill"


class RevocationProof(models.Model):
    """Calls that a revocation forbids, asked of each gateway node by its own address, and what each answered.

    `answers` and `unproven` are what `record`, the signed proof, says. No call of a proof can reach a system.
    """

    class Result(models.TextChoices):
        """What came of it: each node refused each call; a node did not answer; or a call would have passed."""

        PROVEN = "proven", "Proven"
        INCOMPLETE = "incomplete", "Incomplete"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    revocation = models.ForeignKey(Revocation, on_delete=models.CASCADE, related_name="proofs")
    by = models.CharField(max_length=120)
    began_at = models.DateTimeField()
    result = models.CharField(max_length=16, choices=Result.choices)
    answers = models.JSONField(default=list)
    unproven = models.JSONField(default=list)
    record = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.revocation_id}: {self.result}"
