"""Metadata documents of clients as they were read, and the hosts whose clients people may sign in to by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from entitlements.clients.models import Client
from entitlements.people.models import Role
from entitlements.proposals.models import TwoPersonProposal, second_person, second_person_constraints
from entitlements.words import LONGEST_CLIENT_ID


def _serves() -> models.CharField[str, str]:
    return models.CharField(
        max_length=16,
        choices=Client.Serves.choices,
        default=Client.Serves.OWN_AGENT,
        db_default=Client.Serves.OWN_AGENT,
    )


_NAMES_ITS_AGENT: Final = Q(serves="own_agent", agent__isnull=False) | Q(serves="personal_agents", agent=None)
"""A shared agent is named, and of personal agents none."""


class ClientHost(TwoPersonProposal):
    """A host whose clients need the person's consent alone, and through which agent they act for a person.

    One person proposes it, and another confirms it: one who is responsible for the shared agent, or for personal
    agents a platform admin or security approver. By that they accept each client of the host (decision 75).
    """

    CONFIRMERS: ClassVar = (Role.ADMIN, Role.SECURITY)
    """Who confirms a host whose clients serve personal agents, which are registered only by the people later."""

    host = models.CharField(max_length=260)
    serves = _serves()
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="client_hosts"
    )

    class Meta:
        constraints: ClassVar = [
            *second_person_constraints("a client host", "host", is_replaced=False),
            models.CheckConstraint(name="a_client_host_names_its_shared_agent", condition=_NAMES_ITS_AGENT),
        ]
        indexes: ClassVar = [models.Index(name="client_host_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.host}: {self.state}"


class ClientDocument(models.Model):
    """A client's metadata document as it was last read, and what an analyst decided about it.

    `jwks` are the keys that were read with it, wherever it publishes them. `tried_by` are the primary keys of the
    people who tried to sign in to a client that waits. With `stored_by` a person stored it, and it is never fetched.
    """

    class State(models.TextChoices):
        READ = "read", "Read"
        WAITING = "waiting", "Waiting for an analyst"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"

    client_id = models.CharField(max_length=LONGEST_CLIENT_ID, unique=True)
    host = models.CharField(max_length=260)
    document = models.JSONField()
    jwks = models.JSONField(default=dict, blank=True)
    fetched_at = models.DateTimeField()
    fresh_until = models.DateTimeField()
    stored_by = second_person()
    state = models.CharField(max_length=16, choices=State.choices, default=State.READ)
    tried_by = ArrayField(models.BigIntegerField(), default=list, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    serves = _serves()
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_by = second_person()
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_decided_client_document_says_by_whom",
                condition=Q(state__in=["read", "waiting"])
                | (Q(state="approved", decided_by__isnull=False, decided_at__isnull=False) & _NAMES_ITS_AGENT)
                | (Q(state="refused", decided_by__isnull=False, decided_at__isnull=False) & ~Q(reason="")),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="client_document_page", fields=["-fetched_at", "-id"]),
            models.Index(name="client_document_waiting", fields=["asked_at"], condition=Q(state="waiting")),
            models.Index(name="client_document_host", fields=["host"]),
        ]

    def __str__(self) -> str:
        return self.client_id

    @property
    def name(self) -> str:
        """What the client calls itself; its address where it says nothing."""
        return str(self.document.get("client_name") or self.client_id)

    def is_due(self, now: datetime) -> bool:
        """Whether it must be fetched again before it counts."""
        return self.stored_by_id is None and self.fresh_until <= now
