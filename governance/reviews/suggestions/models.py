"""Suggestions beside items, frozen with the population."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class Suggestion(models.Model):
    """What a review suggests for an item, from `inputs` that were frozen with its population. Append-only.

    `kept` are the lines that a reduction would keep; `reasons` are codes with what each weighed.
    """

    class Verdict(models.TextChoices):
        REVOKE = "revoke", "Remove"
        REDUCE = "reduce", "Keep some"
        LOOK = "look", "Look closer"
        KEEP = "keep", "Keep"
        UNKNOWN = "unknown", "Not enough data"

    item = models.OneToOneField(
        "governance.ReviewItem", primary_key=True, on_delete=models.PROTECT, related_name="suggestion"
    )
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    score = models.SmallIntegerField()
    kept = ArrayField(models.BigIntegerField(), default=list)
    reasons = models.JSONField(default=list)
    inputs = models.JSONField(default=dict)
    inputs_sha256 = models.CharField(max_length=64)
    version = models.CharField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_reduction_says_what_it_keeps",
                condition=(Q(verdict="reduce") & ~Q(kept=[])) | (~Q(verdict="reduce") & Q(kept=[])),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item_id}: {self.verdict}"
