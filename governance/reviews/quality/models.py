"""Summaries of how long answers took, and how far the deletion of the single times has come."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

FEWEST: Final = 5
"""A summary needs so many people: fewer would be recognised."""


class Timing(models.Model):
    """How long the answers of a campaign to items of one risk level took; an empty `risk` is all the other levels.

    At least five people gave these answers, none of them more than half; none is named. A row is written once, before
    the first time is deleted, and never changed.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey("governance.Campaign", on_delete=models.PROTECT, related_name="timings")
    risk = models.CharField(max_length=16, blank=True)
    people = models.PositiveIntegerField()
    timed = models.PositiveIntegerField()
    fast = models.PositiveIntegerField()
    median_ms = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="times_are_put_together_once", fields=["campaign", "risk"]),
            models.CheckConstraint(
                name="times_are_put_together_of_several_people", condition=Q(people__gte=FEWEST, timed__gte=F("people"))
            ),
            models.CheckConstraint(name="no_more_are_fast_than_timed", condition=Q(fast__lte=F("timed"))),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.risk or 'other risks'}"


class TimingRun(models.Model):
    """How far the times of a campaign are deleted: those of its items up to the number `upto`, in this night's run.

    `forgotten` counts the assignments. `put_together_at` is when the summary was made, None before any time was old
    enough. `is_over` is true when no time is left.
    """

    campaign = models.OneToOneField(
        "governance.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="timing_run"
    )
    put_together_at = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField()
    upto = models.PositiveIntegerField(default=0)
    forgotten = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    is_over = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="forgetting_is_done_after_it_began", condition=Q(done_at=None) | Q(done_at__gte=F("begun_at"))
            ),
            models.CheckConstraint(name="what_is_over_is_done", condition=Q(is_over=False) | Q(done_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.upto}"
