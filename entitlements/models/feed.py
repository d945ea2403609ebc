"""The change feed, the gateway nodes that follow it, and what revocations answered."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from .catalog import Agent


class Change(models.Model):
    """A right may have been taken away. `seq` is given at commit, so that its order is the order of commits.

    A change with an agent concerns that agent alone; without one it concerns everybody.
    """

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField(null=True, unique=True)
    kind = models.CharField(max_length=32)
    agent = models.ForeignKey(Agent, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=200)
    noted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.seq}:{self.subject}"


class GatewayNode(models.Model):
    """One gateway process. Its lease is alive while `polled_at` is younger than two seconds."""

    id = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    polled_at = models.DateTimeField()
    position = models.BigIntegerField(default=0)
    stopped_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.id


class Revocation(models.Model):
    """What was stopped, and the stored receipt: which node obeyed after how long, and what may outlive it elsewhere.

    `covered` counts what it ended: access tokens and ID-JAGs that were alive, and open sessions.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target_type = models.CharField(max_length=16)
    target_id = models.CharField(max_length=128)
    reason = models.CharField(max_length=500)
    by = models.CharField(max_length=120)
    change_id = models.BigIntegerField(null=True)
    position = models.BigIntegerField(null=True)
    committed_at = models.DateTimeField()
    acknowledged = models.JSONField(default=list)
    missing = models.JSONField(default=list)
    covered = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    residual = models.JSONField(default=list)
    receipt = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-committed_at"]

    def __str__(self) -> str:
        return str(self.id)


class Guardrail(models.Model):
    """A standing stop: while the row for `everything` is on, nothing is allowed or issued."""

    name = models.CharField(max_length=32, primary_key=True)
    on = models.BooleanField(default=False)
    reason = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Hold(models.Model):
    """A call that waits for a person's answer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="holds")
    decision = models.UUIDField(unique=True)
    arguments_sha256 = models.CharField(max_length=64)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    answer = models.CharField(max_length=16, blank=True)
    answered_by = models.CharField(max_length=120, blank=True)

    def __str__(self) -> str:
        return str(self.id)


class UpstreamSession(models.Model):
    """An MCP session of ours at a legacy upstream: it belongs to exactly one agent, person and client."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey("entitlements.Client", on_delete=models.CASCADE, related_name="+")
    upstream_id = models.CharField(max_length=300, blank=True)
    protocol = models.CharField(max_length=16)
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.id)
