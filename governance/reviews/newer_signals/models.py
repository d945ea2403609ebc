"""The current suggestion for an open item, beside the one that was frozen when its review began."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.reviews.suggestions.models import Suggestion


class NewerSignal(models.Model):
    """The suggestion for an open item as of `seen_at`. It never changes the frozen one.

    There is none until the two differ; it `stands` while they do. After the item is answered it does not change.
    """

    item = models.OneToOneField(
        "governance.ReviewItem", primary_key=True, on_delete=models.PROTECT, related_name="newer_signal"
    )
    verdict = models.CharField(max_length=16, choices=Suggestion.Verdict.choices)
    score = models.SmallIntegerField()
    kept = ArrayField(models.BigIntegerField(), default=list)
    reasons = models.JSONField(default=list)
    version = models.CharField(max_length=32)
    seen_at = models.DateTimeField()
    stands = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_newer_reduction_says_what_it_keeps",
                condition=(Q(verdict="reduce") & ~Q(kept=[])) | (~Q(verdict="reduce") & Q(kept=[])),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.verdict}"


class SignalRun(models.Model):
    """The progress of the latest evaluation of a campaign's open items: those up to the number `upto` are done."""

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="signal_run"
    )
    begun_at = models.DateTimeField()
    upto = models.PositiveIntegerField(default=0)
    looked = models.PositiveIntegerField(default=0)
    newer = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="weighing_again_is_done_after_it_began",
                condition=Q(done_at=None) | Q(done_at__gte=F("begun_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.upto}"
