"""The proposals that wait for a second person, and those that are over."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class Proposal(models.Model):
    """Terms for one subject, which count once another person has confirmed them.

    `subject` is the link by which the audit log names the thing. `proposed_as` names who proposed it, a script for
    example; `proposed_by` is the person, where it is one. Neither terms nor state change once it is over.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        WITHDRAWN = "withdrawn", "Withdrawn"
        REPLACED = "replaced", "Replaced"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=300)
    terms = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    proposed_as = models.CharField(max_length=1100)
    proposed_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_proposal_of_a_kind_waits_for_a_subject",
                fields=["kind", "subject"],
                condition=Q(state="proposed"),
            ),
            models.CheckConstraint(
                name="another_person_confirms_a_proposal",
                condition=(~Q(state="confirmed") & Q(confirmed_by=None))
                | (
                    Q(state="confirmed", confirmed_by__isnull=False)
                    & (Q(proposed_by=None) | ~Q(confirmed_by=F("proposed_by")))
                ),
            ),
            models.CheckConstraint(
                name="a_proposal_that_is_over_says_when",
                condition=Q(state="proposed", ended_at=None) | (~Q(state="proposed") & Q(ended_at__isnull=False)),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="change_proposal_page", fields=["-proposed_at", "-id"]),
            models.Index(name="change_proposal_subject", fields=["kind", "subject"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.state}"
