"""Sessions of agents: an agent's run for one person."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.db.models import DurationField, ExpressionWrapper, F, Q, Value


def is_open(now: datetime) -> Q:
    """Whether a session has not ended at a moment, by an act or by its own limits."""
    idle = ExpressionWrapper(F("idle_seconds") * Value(timedelta(seconds=1)), output_field=DurationField())
    return Q(ended_at=None, expires_at__gt=now, last_used_at__gt=Value(now) - idle)


class Session(models.Model):
    """One agent's run for one person (or none) across systems; named `sid` in every token.

    `signed_in_at` is when the person signed in, where the sign-in says so by `auth_time`; NULL is unknown. `auth_time`
    is the same, or when the ID token was issued. `acr` and `amr`, methods between spaces, are what the sign-in says.
    `held_by_risk`: a risk signal holds its calls until a person decides about it. `trace` is that of the sign-in, in
    which what the session does goes on where its client names none.
    """

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
    signed_in_at = models.DateTimeField(null=True, blank=True)
    acr = models.CharField(max_length=255, blank=True, default="", db_default="")
    amr = models.TextField(blank=True, default="", db_default="")
    risk = models.CharField(max_length=16, default="low")
    labels = models.JSONField(default=list)
    held_by_risk = models.BooleanField(default=False, db_default=False)
    trace = models.CharField(max_length=32, blank=True, default="", db_default="")
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
            models.Index(name="session_held_by_risk", fields=["-started_at", "-id"], condition=Q(held_by_risk=True)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def is_open(self, now: datetime) -> bool:
        """Whether it has not ended at a moment, by an act or by its own limits."""
        idle_until = self.last_used_at + timedelta(seconds=self.idle_seconds)
        return self.ended_at is None and now < min(self.expires_at, idle_until)
