"""How long answers took, once thirteen months are over: of several people together, and how far forgetting has come."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

FEWEST: Final = 5
"""Of fewer people nothing is put together: each would be recognised."""


class Timing(models.Model):
    """How long the answers of a campaign to items of one risk took together; without a risk, of all the other ones.

    It is of at least five people of whom nobody gave more than half of the answers, and names none. It is written once,
    before the first time is forgotten, and never changed.
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
    """How far the times of a campaign are forgotten: those of its items up to the number `upto`, in this night's run.

    `forgotten` is of how many assignments. `put_together_at` is when they were put together, None before any was old
    enough. `is_over` says that none is left.
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
