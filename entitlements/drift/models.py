"""What drift is measured against: from which networks a session came, and when an agent used which class of tools."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class SessionNetwork(models.Model):
    """One network that one session came from, since `first_at`; the earliest is the one in which it began.

    `network` is a digest that differs from session to session, so that it tells of no place and joins no two sessions.
    """

    session = models.ForeignKey("entitlements.Session", on_delete=models.CASCADE, related_name="+", db_index=False)
    network = models.CharField(max_length=64)
    address_class = models.CharField(max_length=16)
    first_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_network_of_a_session_is_noted_once", fields=["session", "network"])
        ]
        indexes: ClassVar = [models.Index(name="session_network_by_age", fields=["first_at"])]

    def __str__(self) -> str:
        return f"{self.session_id}: {self.address_class}"


class AgentHour(models.Model):
    """How many calls of tools of one class an agent was allowed in one hour (UTC)."""

    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+", db_index=False)
    hour = models.DateTimeField()
    tool_class = models.CharField(max_length=64)
    calls = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="an_hour_of_an_agent_is_counted_once", fields=["agent", "hour", "tool_class"]),
            models.CheckConstraint(name="an_hour_that_is_kept_had_calls", condition=Q(calls__gt=0)),
        ]
        indexes: ClassVar = [models.Index(name="agent_hour_by_age", fields=["hour"])]

    def __str__(self) -> str:
        return f"{self.agent_id} at {self.hour}: {self.calls}"
