"""The proposals that wait for a second person, and those that are over."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Q

if TYPE_CHECKING:
    from entitlements.people.models import Person


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


def second_person() -> models.ForeignKey[Person | None, Person | None]:
    """Return the column of who confirmed something."""
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


class TwoPersonProposal(models.Model):
    """The columns of a kind that is proposed by one person, confirmed by another, and holds until it ends.

    A change is another proposal about the same subject; it replaces the one in force (`proposals/in_force.py`).
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        IN_FORCE = "in_force", "In force"
        REPLACED = "replaced", "Replaced"
        WITHDRAWN = "withdrawn", "Withdrawn"
        ENDED = "ended", "Ended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField()
    confirmed_by = second_person()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True


def second_person_constraints(
    noun: str, *subject: str, is_replaced: bool = True, is_single: bool = True
) -> list[models.BaseConstraint]:
    """Return what the database refuses of such a kind; `noun` is its name with the article, for the sentences.

    One that is not replaced ends before another is proposed about its subject. Of those that are not single, as many
    wait and hold as are proposed.
    """
    one = noun.replace(" ", "_")
    once = "proposed_once_and_in_force_once" if is_replaced else "proposed_or_in_force_once"
    unique = models.UniqueConstraint(
        name=f"{one}_is_{once}",
        fields=[*subject, *(["state"] if is_replaced else [])],
        condition=Q(state__in=["proposed", "in_force"]),
        nulls_distinct=False,
    )
    return [
        *([unique] if is_single else []),
        models.CheckConstraint(name=f"{one}_says_why", condition=~Q(reason="")),
        models.CheckConstraint(
            name=f"a_second_person_confirms_{one}",
            condition=Q(state__in=["proposed", "withdrawn"], confirmed_by=None)
            | (
                Q(state__in=["in_force", "replaced", "ended"], confirmed_by__isnull=False)
                & Q(confirmed_at__isnull=False)
                & ~Q(confirmed_by=F("proposed_by"))
            ),
        ),
        models.CheckConstraint(
            name=f"{one}_that_is_over_says_when_and_why",
            condition=Q(state__in=["proposed", "in_force"], ended_at=None)
            | (Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
        ),
    ]
