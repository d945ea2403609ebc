"""An auditor's work on a closed review: shares of its evidence, samples, findings, questions.

Nothing here is ever deleted or rewritten (`reviews/evidence/sql/`): a mark is superseded by a later one, a question
is answered once, a share is ended once.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from governance.approvals.models import Question


class EvidenceShare(models.Model):
    """A person may read and test the evidence of one review until a day; the share gives no other right."""

    LONGEST: ClassVar = timedelta(days=90)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="shares")
    auditor = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="evidence_shares")
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=500)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="evidence_is_shared_for_a_while_and_says_why",
                condition=~Q(reason="")
                & Q(expires_at__gt=F("made_at"), expires_at__lte=F("made_at") + timedelta(days=90)),
            ),
            models.CheckConstraint(name="evidence_is_shared_by_another", condition=~Q(by=F("auditor"))),
            models.UniqueConstraint(
                name="one_open_share_per_auditor_and_review",
                fields=["campaign", "auditor"],
                condition=Q(ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.auditor_id}"


class AuditSample(models.Model):
    """A random sample of a closed review's items. The same seed from the same items gives the same sample.

    `frame_sha256` is the digest of all items with their strata, from which it was drawn.
    """

    class Strata(models.TextChoices):
        NONE = "none", "None"
        RISK = "risk", "Risk"
        OUTCOME = "outcome", "Outcome"
        SYSTEM = "system", "System"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="samples")
    drawn_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    drawn_at = models.DateTimeField()
    seed = models.CharField(max_length=64)
    wanted = models.PositiveSmallIntegerField()
    strata = models.CharField(max_length=16, choices=Strata.choices)
    frame = models.PositiveIntegerField()
    frame_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_sample_has_a_seed_and_a_size", condition=~Q(seed="") & Q(wanted__gte=1, wanted__lte=500)
            ),
        ]
        indexes: ClassVar = [models.Index(name="sample_page", fields=["campaign", "-drawn_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.campaign_id}:{self.seed}"


class SampledItem(models.Model):
    """One item of a sample, with the stratum it was drawn from."""

    id = models.BigAutoField(primary_key=True)
    sample = models.ForeignKey(AuditSample, on_delete=models.PROTECT, related_name="items")
    item = models.ForeignKey("governance.ReviewItem", on_delete=models.PROTECT, related_name="+")
    stratum = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="an_item_is_in_a_sample_once", fields=["sample", "item"])]

    def __str__(self) -> str:
        return f"{self.sample_id}:{self.item_id}"


class AuditMark(models.Model):
    """An auditor's finding about one item of a sample; the latest mark counts."""

    class Finding(models.TextChoices):
        PASS = "pass", "Pass"
        EXCEPTION = "exception", "Exception"
        QUERY = "query", "Query"

    id = models.BigAutoField(primary_key=True)
    sampled = models.ForeignKey(SampledItem, on_delete=models.PROTECT, related_name="marks")
    finding = models.CharField(max_length=16, choices=Finding.choices)
    note = models.CharField(max_length=2000, blank=True)
    by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="what_does_not_pass_says_why",
                condition=Q(finding="pass") | (Q(finding__in=["exception", "query"]) & ~Q(note="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sampled_id}:{self.finding}"


class AuditQuestion(Question):
    """A question of an auditor about a review or one of its items; the owner of the review answers it once."""

    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="audit_questions")
    item = models.ForeignKey("governance.ReviewItem", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField()
    answered_by = models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="an_audit_question_says_something_and_is_answered_whole",
                condition=~Q(text="")
                & (
                    Q(answer="", answered_by=None, answered_at=None)
                    | (~Q(answer="") & Q(answered_by__isnull=False, answered_at__isnull=False))
                ),
            ),
        ]
        indexes: ClassVar = [models.Index(name="audit_question_page", fields=["campaign", "-asked_at", "-id"])]
