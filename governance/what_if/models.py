"""Replays of recorded calls under a change that was not made."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q


class WhatIf(models.Model):
    """One change, replayed over the calls of the last days by a worker, a day at a time. Nothing else is changed.

    `change` is what was asked (`changes`), `read_days` how many days are read, `result` what they add up to so far.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    change = models.JSONField()
    days = models.PositiveSmallIntegerField()
    asked_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    asked_at = models.DateTimeField()
    read_days = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=500, blank=True)
    result = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_what_if_reads_one_to_ninety_days", condition=Q(days__gte=1, days__lte=90)),
            models.CheckConstraint(
                name="a_finished_what_if_read_its_days_or_failed",
                condition=Q(failure="", finished_at=None, read_days__lte=F("days"))
                | Q(failure="", finished_at__isnull=False, read_days=F("days"))
                | Q(finished_at__isnull=False) & ~Q(failure=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="what_if_page", fields=["-asked_at", "-id"]),
            models.Index(name="what_if_unfinished", fields=["asked_at"], condition=Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.change.get('kind')}, {self.days} days"

    @property
    def state(self) -> str:
        """One of waiting, running, finished, failed."""
        if self.finished_at is not None:
            return "failed" if self.failure else "finished"
        return "running" if self.read_days else "waiting"

    @property
    def percent(self) -> int:
        """How much of it is read."""
        return 100 * self.read_days // self.days

    def figure(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return a part of the result; 0 where there is none yet."""
        return self.result.get(name, 0)
