"""Decisions of reviewers, and drafts of them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.reviews.items.answer import Answer
from governance.reviews.items.review_rules import Verb

PARTS: Final = ("verb", "kept_lines", "limits", "valid_until", "effective_at", "reason_code", "comment")
"""The columns of an answer, which a draft and a decision share."""


class Draft(models.Model):
    """An answer that a reviewer may change until they submit it. `rev` tells two windows apart."""

    assignment = models.OneToOneField(
        "governance.Assignment", primary_key=True, on_delete=models.PROTECT, related_name="draft"
    )
    verb = models.CharField(max_length=16, blank=True)
    kept_lines = ArrayField(models.BigIntegerField(), default=list)
    limits = models.JSONField(default=dict, db_default={})
    valid_until = models.DateTimeField(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=32, blank=True)
    comment = models.TextField(max_length=2000, blank=True)
    bulk_op = models.UUIDField(null=True, blank=True)
    rev = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, db_index=False, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return f"{self.assignment_id} r{self.rev}"

    @property
    def answer(self) -> Answer:
        """The answer as the reviewer gave it: only a reduction names the lines that stay."""
        kept = tuple(sorted(self.kept_lines)) if self.verb == Verb.REDUCE else ()
        limits = {int(line): limit for line, limit in self.limits.items()}
        return Answer(self.verb, self.reason_code, self.comment, kept, limits, self.valid_until, self.effective_at)


class ReviewDecision(models.Model):
    """An answer that counts. Append-only: once it was taken back, another answer to the same stage supersedes it.

    `kept_lines` are the lines that stay, `limits` the tighter limits of some of them by line, `valid_until` an earlier
    end; a removal comes at `effective_at`, or at once. An abstention is no outcome: the next in the chain is asked.
    `dwell_ms` alone goes, once thirteen months are over (`governance/reviews/quality/retention.py`).
    """

    class Via(models.TextChoices):
        UI = "ui", "Console"
        API = "api", "API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="decisions")
    stage = models.PositiveSmallIntegerField(default=1)
    assignment = models.ForeignKey("governance.Assignment", on_delete=models.PROTECT, related_name="decisions")
    decided_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="review_decisions")
    via = models.CharField(max_length=16, choices=Via.choices)
    verb = models.CharField(max_length=16)
    kept_lines = ArrayField(models.BigIntegerField(), default=list)
    limits = models.JSONField(default=dict, db_default={})
    valid_until = models.DateTimeField(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(max_length=32, blank=True)
    comment = models.TextField(max_length=2000, blank=True)
    suggestion = models.CharField(max_length=16, blank=True)
    reco_version = models.CharField(max_length=32, blank=True)
    dwell_ms = models.PositiveIntegerField(null=True, blank=True)
    evidence_opened = models.BooleanField(null=True)
    bulk_op = models.UUIDField(null=True, blank=True)
    amr = ArrayField(models.CharField(max_length=32), default=list)
    supersedes = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="successor")
    decided_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_second_decision_supersedes_the_first",
                fields=["item", "stage"],
                condition=Q(supersedes__isnull=True) & ~Q(verb="abstain"),
            ),
            models.CheckConstraint(
                name="a_decision_has_a_known_verb", condition=Q(verb__in=["certify", "reduce", "revoke", "abstain"])
            ),
            models.CheckConstraint(
                name="a_removal_has_a_reason_and_keeps_nothing",
                condition=~Q(verb="revoke") | (~Q(reason_code="") & Q(kept_lines=[], limits={}, valid_until=None)),
            ),
            models.CheckConstraint(
                name="a_reduction_has_a_reason_and_keeps_something",
                condition=~Q(verb="reduce") | (~Q(reason_code="") & ~Q(kept_lines=[])),
            ),
            models.CheckConstraint(
                name="an_abstention_says_why_and_decides_nothing",
                condition=~Q(verb="abstain")
                | Q(
                    reason_code__in=["not_mine", "dont_understand", "conflict", "need_info"],
                    kept_lines=[],
                    limits={},
                    valid_until=None,
                    supersedes=None,
                ),
            ),
            models.CheckConstraint(name="keeping_all_tightens_nothing", condition=~Q(verb="certify") | Q(limits={})),
            models.CheckConstraint(
                name="an_earlier_end_is_yet_to_come", condition=Q(valid_until=None) | Q(valid_until__gt=F("decided_at"))
            ),
            models.CheckConstraint(
                name="a_removal_of_later_comes_within_a_fortnight",
                condition=Q(effective_at=None)
                | Q(
                    verb="revoke",
                    effective_at__gt=F("decided_at"),
                    effective_at__lte=F("decided_at") + timedelta(days=14),
                ),
            ),
            models.CheckConstraint(name="nothing_supersedes_itself", condition=~Q(supersedes=F("id"))),
        ]
        indexes: ClassVar = [models.Index(name="abstentions", fields=["item"], condition=Q(verb="abstain"))]

    def __str__(self) -> str:
        return f"{self.item_id}:{self.verb}"
