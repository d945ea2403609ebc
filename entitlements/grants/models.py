"""What an agent holds: grants with the people they serve, and their tool lines."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Grant(models.Model):
    """One entitlement, held by one agent for a set of people, until it ends.

    `expires_at` is the promise and is enough for a decision; `ended_at` is the bookkeeping, and may lag behind it by
    one sweep. `adopted_from` names the batch that an adopted grant comes from: it lasts thirty days at most.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        REVOKED = "revoked", "Revoked"
        EXPIRED = "expired", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="grants")
    entitlement = models.ForeignKey("entitlements.Entitlement", on_delete=models.PROTECT, related_name="grants")
    subjects_digest = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)
    request_id = models.UUIDField(null=True, blank=True)
    adopted_from = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="grant_ends_after_it_starts", condition=Q(expires_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="adopted_grant_lasts_thirty_days_at_most",
                condition=Q(adopted_from=None) | Q(expires_at__lte=F("starts_at") + timedelta(days=30)),
            ),
            models.CheckConstraint(name="ended_grant_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
            models.CheckConstraint(
                name="grant_has_ended_exactly_when_revoked_or_expired",
                condition=Q(ended_at=None, state__in=["active", "suspended"])
                | Q(ended_at__isnull=False, state__in=["revoked", "expired"]),
            ),
            models.UniqueConstraint(
                name="one_open_grant_per_agent_entitlement_and_people",
                fields=["agent", "entitlement", "subjects_digest"],
                condition=Q(ended_at=None),
            ),
            models.UniqueConstraint(
                name="one_grant_per_request", fields=["request_id"], condition=Q(request_id__isnull=False)
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="grant_due", fields=["expires_at"], condition=Q(ended_at=None)),
            models.Index(name="grant_ended", fields=["-ended_at", "id"], condition=Q(ended_at__isnull=False)),
            models.Index(name="grant_adopted", fields=["adopted_from"], condition=Q(adopted_from__isnull=False)),
            models.Index(name="grant_page", fields=["-created_at", "-id"]),
            models.Index(name="grant_page_of_state", fields=["state", "-created_at", "-id"]),
            models.Index(name="grant_page_by_end", fields=["expires_at", "id"]),
        ]

    def __str__(self) -> str:
        return str(self.id)


class GrantSubject(models.Model):
    """Whom the agent may act for under this grant: a person or a group. A service agent's grant has none."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="subjects")
    person = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="grant_subjects"
    )
    group = models.ForeignKey(
        "entitlements.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="grant_subjects"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="grant_subject_is_a_person_or_a_group",
                condition=Q(person__isnull=True, group__isnull=False) | Q(person__isnull=False, group__isnull=True),
            ),
            models.UniqueConstraint(name="a_person_is_in_a_grant_once", fields=["grant", "person"]),
            models.UniqueConstraint(name="a_group_is_in_a_grant_once", fields=["grant", "group"]),
        ]

    def __str__(self) -> str:
        return f"{self.grant_id}:{self.person_id or self.group_id}"


class GrantLine(models.Model):
    """A tool that the grant covers, with the limits on its arguments."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="lines")
    tool = models.ForeignKey("entitlements.Tool", on_delete=models.PROTECT, related_name="grant_lines")
    limits = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="a_tool_is_in_a_grant_once", fields=["grant", "tool"])]
        indexes: ClassVar = [models.Index(name="line_of_tool", fields=["tool", "grant"])]

    def __str__(self) -> str:
        return f"{self.grant_id}:{self.tool_id}"
