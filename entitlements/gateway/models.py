"""Guardrails, sessions with upstream servers, and clients' sessions that were ended."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Guardrail(models.Model):
    """A standing stop: while the row for `everything` is on, nothing is allowed or issued."""

    name = models.CharField(max_length=32, primary_key=True)
    on = models.BooleanField(default=False)
    reason = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class UpstreamSession(models.Model):
    """An MCP session of ours at a legacy upstream: it belongs to exactly one agent, person and client.

    `client_session` is the session of a legacy client that it is for; a modern one has none.

    Every node uses it. `sealed` is the name that the upstream gave it, which opens it, with a digest of where it was
    begun. `used_at` lags behind its use by two minutes at most (`entitlements/node/shared/upstream_sessions.py`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey("entitlements.System", on_delete=models.CASCADE, related_name="+")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey("entitlements.Person", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey("entitlements.Client", on_delete=models.CASCADE, related_name="+")
    sealed = models.BinaryField(default=b"")
    protocol = models.CharField(max_length=16)
    opened_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    client_session = models.UUIDField(null=True, blank=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_open_session_of_a_callers_session",
                fields=["system", "agent", "person", "client", "client_session"],
                condition=Q(ended_at=None),
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class EndedClientSession(models.Model):
    """A client's session that its client ended before its time. Until `expires_at` no node opens its sealed name."""

    id = models.UUIDField(primary_key=True, editable=False)
    ended_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.id)
