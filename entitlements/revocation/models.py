"""Revocations and their receipts."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Revocation(models.Model):
    """What was stopped, and the stored receipt: which node obeyed after how long, and what may outlive it elsewhere.

    `covered` counts what it ended: access tokens and ID-JAGs that were alive, and open sessions.
    """

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
    residual = models.JSONField(default=list)
    receipt = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-committed_at"]

    def __str__(self) -> str:
        return str(self.id)
