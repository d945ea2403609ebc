"""Requests for access, and the tools that each asks for."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from entitlements.people.models import Person


def _office() -> models.ForeignKey[Person | None, Person | None]:
    """Make the field of a former role holder; no query filters by it."""
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


class AccessRequest(models.Model):
    """An agent (or a person for it) requests tools of one entitlement, for these people, this long. Never deleted.

    `owner_then` and the others held these roles at submission: a person who takes one later does not answer.
    """

    class State(models.TextChoices):
        IN_APPROVAL = "in_approval", "Waiting for approval"
        APPROVED = "approved", "Approved"
        DENIED = "denied", "Denied"
        CANCELLED = "cancelled", "Withdrawn"
        EXPIRED = "expired", "Not answered in time"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="requests")
    entitlement = models.ForeignKey("entitlements.Entitlement", on_delete=models.PROTECT, related_name="requests")
    requested_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="access_requests"
    )
    requested_as = models.CharField(max_length=120)
    owner_then = _office()
    sponsor_then = _office()
    manager_then = _office()
    system_owner_then = _office()
    renews = models.ForeignKey(
        "entitlements.Grant", null=True, blank=True, on_delete=models.PROTECT, related_name="renewals", db_index=False
    )
    appeals = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="appealed_by")
    people = models.ManyToManyField("entitlements.Person", blank=True, related_name="requests_for")
    groups = models.ManyToManyField("entitlements.Group", blank=True, related_name="requests_for")
    asked_lasts = models.DurationField()
    lasts = models.DurationField()
    reason = models.TextField(max_length=2000)
    ticket = models.CharField(max_length=64, blank=True, default="", db_default="")
    risk = models.CharField(max_length=16)
    state = models.CharField(max_length=16, choices=State.choices, default=State.IN_APPROVAL)
    policy = models.ForeignKey("governance.ApprovalPolicy", null=True, on_delete=models.PROTECT, related_name="+")
    denied_call = models.UUIDField(null=True, blank=True)
    trace = models.CharField(max_length=32, blank=True)
    asked_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    grant_id = models.UUIDField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="request_says_why", condition=~Q(reason="")),
            models.CheckConstraint(name="request_lasts_some_time", condition=Q(answer_by__gt=F("asked_at"))),
            models.CheckConstraint(
                name="request_is_only_ever_shortened", condition=Q(lasts__gt=timedelta(0), lasts__lte=F("asked_lasts"))
            ),
            models.CheckConstraint(
                name="request_is_decided_exactly_when_it_is_no_longer_waiting",
                condition=Q(state="in_approval", decided_at=None)
                | (~Q(state="in_approval") & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="approved_request_has_its_grant", condition=~Q(state="approved") | Q(grant_id__isnull=False)
            ),
            models.UniqueConstraint(
                name="access_is_renewed_by_one_request_at_a_time",
                fields=["renews"],
                condition=Q(state="in_approval"),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="request_page", fields=["-asked_at", "-id"]),
            models.Index(name="request_page_of_state", fields=["state", "-asked_at", "-id"]),
            models.Index(name="request_due", fields=["answer_by"], condition=Q(state="in_approval")),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_made_by_agent(self) -> bool:
        """Whether the agent made it, for itself or on behalf of the person."""
        return self.requested_as.startswith("agent:")


class RequestLine(models.Model):
    """A tool asked for, with limits; narrowing takes lines away or tightens their limits, and keeps what was asked."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="lines")
    tool = models.ForeignKey("entitlements.Tool", on_delete=models.PROTECT, related_name="+")
    asked_limits = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)
    kept = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="a_tool_is_asked_for_once", fields=["request", "tool"])]

    def __str__(self) -> str:
        return f"{self.request_id}:{self.tool_id}"
