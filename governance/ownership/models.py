"""Proposed owners of agents, and agents that nothing has used for long."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Dormancy(models.Model):
    """The step at which an agent stands, since when, and when a person last confirmed that it is still needed.

    An agent without a row is in use, or too new to tell.
    """

    class Step(models.IntegerChoices):
        IN_USE = 0, "In use"
        WARNED = 1, "Unused for a while"
        ASKED = 2, "Is it still needed?"

    agent = models.OneToOneField(
        "entitlements.Agent", primary_key=True, on_delete=models.CASCADE, related_name="dormancy"
    )
    step = models.PositiveSmallIntegerField(choices=Step.choices)
    since = models.DateTimeField()
    kept_at = models.DateTimeField(null=True, blank=True)
    kept_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    kept_because = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="dormancy_step_is_known", condition=Q(step__in=[0, 1, 2])),
            models.CheckConstraint(
                name="whoever_keeps_an_agent_says_why",
                condition=Q(kept_at=None, kept_by=None, kept_because="")
                | (Q(kept_at__isnull=False, kept_by__isnull=False) & ~Q(kept_because="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="dormancy_asked", fields=["step", "since"], condition=Q(step__gt=0))]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.step}"


class OwnershipProposal(models.Model):
    """A proposal to one person to take one role for one agent, until `answer_by`. Never deleted."""

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
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="proposals")
    office = models.CharField(max_length=16, choices=Office.choices)
    person = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="proposals")
    proposed_by = models.CharField(max_length=120)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    proposed_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "governance_officeproposal"
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
