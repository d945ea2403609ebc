"""Sessions of agents: an agent's run for one person."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Session(models.Model):
    """One agent's run for one person (or none) across systems; named `sid` in every token."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="sessions")
    client = models.ForeignKey("entitlements.Client", on_delete=models.PROTECT, related_name="sessions")
    person = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="agent_sessions"
    )
    sign_in_sha256 = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    idle_seconds = models.PositiveIntegerField(default=3600)
    expires_at = models.DateTimeField()
    auth_time = models.DateTimeField(null=True, blank=True)
    risk = models.CharField(max_length=16, default="low")
    labels = models.JSONField(default=list)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="ended_session_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
            models.UniqueConstraint(
                name="one_open_session_per_client_and_sign_in",
                fields=["client", "sign_in_sha256"],
                condition=Q(ended_at=None),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="session_of_agent", fields=["agent"], condition=Q(ended_at=None)),
            models.Index(name="session_of_sign_in", fields=["client", "sign_in_sha256", "started_at"]),
            models.Index(name="session_page", fields=["-started_at", "-id"]),
        ]

    def __str__(self) -> str:
        return str(self.id)
