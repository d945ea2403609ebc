"""Whom somebody asked to answer for an agent. Nobody holds such an office before they have accepted it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from entitlements.models import Agent, Person


class OfficeProposal(models.Model):
    """One person is asked to take one office of one agent, until `answer_by`. Kept for good."""

    class Office(models.TextChoices):
        SPONSOR = "sponsor", "Sponsor"
        OWNER = "owner", "Technical owner"
        BACKUP = "backup", "Backup owner"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for an answer"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"
        REPLACED = "replaced", "Somebody else was asked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="proposals")
    office = models.CharField(max_length=16, choices=Office.choices)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="proposals")
    proposed_by = models.CharField(max_length=120)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    proposed_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_person_at_a_time_is_asked_for_an_office",
                fields=["agent", "office"],
                condition=Q(state="waiting"),
            ),
            models.CheckConstraint(name="office_is_known", condition=Q(office__in=["sponsor", "owner", "backup"])),
            models.CheckConstraint(name="a_proposal_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="a_proposal_leaves_time_to_answer", condition=Q(answer_by__gt=F("proposed_at"))
            ),
            models.CheckConstraint(
                name="a_proposal_is_answered_exactly_when_it_no_longer_waits",
                condition=Q(state="waiting", answered_at=None) | (~Q(state="waiting") & Q(answered_at__isnull=False)),
            ),
        ]
        indexes: ClassVar = [models.Index(name="proposal_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.agent_id}:{self.office}:{self.person_id}"
