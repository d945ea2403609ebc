"""Answers to a request, and questions that its approvers ask."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Question(models.Model):
    """What all questions have: who asked what, and what was answered. None is ever deleted, each is answered once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.CharField(max_length=2000)
    asked_at = models.DateTimeField()
    answer = models.CharField(max_length=2000, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.id)


class RequestQuestion(Question):
    """One question of a person whom a request waits for; the requester answers it once."""

    request = models.ForeignKey("governance.AccessRequest", on_delete=models.PROTECT, related_name="questions")
    answered_as = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_question_says_something", condition=~Q(text="")),
            models.CheckConstraint(
                name="an_answer_to_a_question_says_what_by_whom_and_when",
                condition=Q(answer="", answered_as="", answered_at=None)
                | (~Q(answer="") & ~Q(answered_as="") & Q(answered_at__isnull=False)),
            ),
        ]


class Approval(models.Model):
    """One answer that a request needs: in which stage, whom it waits for and why them, and the answer that came.

    A stage that needs several people has a row for each. `in_place_of` is the person in whose place it was answered.
    `rule` is the explicit rule that approved, without a person.
    """

    class Answer(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPROVED = "approved", "Approved"
        DENIED = "denied", "Denied"
        VOID = "void", "No longer needed"

    class Because(models.TextChoices):
        NOT_NEEDED = "not_needed", "Not needed"
        TOO_MUCH = "too_much", "Too much at once"
        TOO_LONG = "too_long", "For too long"
        WRONG_PEOPLE = "wrong_people", "For the wrong people"
        TOO_RISKY = "too_risky", "Too risky"
        UNCLEAR = "unclear", "Unclear what for"

    request = models.ForeignKey("governance.AccessRequest", on_delete=models.PROTECT, related_name="approvals")
    position = models.PositiveSmallIntegerField()
    stage = models.CharField(max_length=32)
    waiting_for = models.ManyToManyField("entitlements.Person", related_name="approvals_waiting")
    resolution = models.JSONField(default=dict)
    answer = models.CharField(max_length=16, choices=Answer.choices, default=Answer.WAITING)
    by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="approvals_given"
    )
    in_place_of = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    rule = models.ForeignKey(
        "governance.AutoApprovalRule", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    reason = models.TextField(max_length=2000, blank=True)
    denied_as = models.CharField(max_length=16, choices=Because.choices, blank=True, db_default="")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_request_has_each_position_once", fields=["request", "position"]),
            models.UniqueConstraint(
                name="nobody_answers_a_request_twice", fields=["request", "by"], condition=Q(by__isnull=False)
            ),
            models.CheckConstraint(
                name="an_answer_says_by_whom_and_when",
                condition=Q(answer__in=["waiting", "void"], rule=None)
                | Q(by__isnull=False, answered_at__isnull=False, rule=None)
                | Q(answer="approved", by=None, in_place_of=None, rule__isnull=False, answered_at__isnull=False),
            ),
            models.CheckConstraint(name="a_denial_says_why", condition=~Q(answer="denied") | ~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}:{self.stage}"
