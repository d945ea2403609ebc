"""Metadata documents of clients as they were read, and the hosts whose clients people may sign in to by themselves."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from entitlements.clients.models import Client
from entitlements.people.models import Person, Role
from entitlements.words import LONGEST_CLIENT_ID


def _person() -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


def _serves() -> models.CharField[str, str]:
    return models.CharField(
        max_length=16,
        choices=Client.Serves.choices,
        default=Client.Serves.OWN_AGENT,
        db_default=Client.Serves.OWN_AGENT,
    )


_NAMES_ITS_AGENT: Final = Q(serves="own_agent", agent__isnull=False) | Q(serves="personal_agents", agent=None)
"""A shared agent is named, and of personal agents none."""


class ClientHost(models.Model):
    """A host whose clients need the person's consent alone, and through which agent they act for a person.

    One person proposes it, and another confirms it: one who is responsible for the shared agent, or for personal
    agents a platform admin or security approver. By that they accept each client of the host (decision 75).
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        IN_FORCE = "in_force", "In force"
        WITHDRAWN = "withdrawn", "Withdrawn"
        ENDED = "ended", "Ended"

    CONFIRMERS: ClassVar = (Role.ADMIN, Role.SECURITY)
    """Who confirms a host whose clients serve personal agents, which are registered only by the people later."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=260)
    serves = _serves()
    agent = models.ForeignKey(
        "entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="client_hosts"
    )
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField()
    confirmed_by = _person()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_client_host_says_why", condition=~Q(reason="")),
            models.CheckConstraint(name="a_client_host_names_its_shared_agent", condition=_NAMES_ITS_AGENT),
            models.UniqueConstraint(
                name="a_client_host_is_proposed_or_allowed_once",
                fields=["host"],
                condition=Q(state__in=["proposed", "in_force"]),
            ),
            models.CheckConstraint(
                name="a_second_person_confirms_a_client_host",
                condition=Q(state__in=["proposed", "withdrawn"])
                | (Q(confirmed_by__isnull=False, confirmed_at__isnull=False) & ~Q(confirmed_by=F("proposed_by"))),
            ),
            models.CheckConstraint(
                name="an_ended_client_host_says_when_and_why",
                condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                | (Q(state__in=["withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
            ),
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
    stored_by = _person()
    state = models.CharField(max_length=16, choices=State.choices, default=State.READ)
    tried_by = ArrayField(models.BigIntegerField(), default=list, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    serves = _serves()
    agent = models.ForeignKey("entitlements.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_by = _person()
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
