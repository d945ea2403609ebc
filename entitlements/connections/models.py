"""Connections: which agent acts for a person at a client that serves many people, each through their own agent."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Connection(models.Model):
    """A person's personal agent at a client, from the consent that began it until it is ended.

    The client acts for the person through this agent alone, and only while the connection is open. What ended stays as
    a row; the person's next consent begins another, with the same agent unless that is retired.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client = models.ForeignKey("entitlements.Client", on_delete=models.PROTECT, related_name="connections")
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="connections")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="connections")
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_person_has_one_open_connection_at_a_client",
                fields=["client", "person"],
                condition=Q(ended_at=None),
            ),
            models.UniqueConstraint(
                name="an_agent_has_one_open_connection", fields=["agent"], condition=Q(ended_at=None)
            ),
            models.CheckConstraint(name="ended_connection_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
        ]
        indexes: ClassVar = [models.Index(name="connection_page", fields=["-began_at", "-id"])]

    def __str__(self) -> str:
        return str(self.id)
