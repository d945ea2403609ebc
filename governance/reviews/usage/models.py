"""Use of access by day."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


class UsageDay(models.Model):
    """The calls of one tool by one agent on one day (UTC), under one grant; without a grant, those that none covered.

    `people` holds a hash for each person acted for, so that people are counted over many days and never named.
    `ranges` holds, by name, the smallest and largest value of each number among the arguments that a limit bounds, and
    in how many calls it was.
    """

    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+")
    grant = models.ForeignKey("entitlements.Grant", null=True, on_delete=models.PROTECT, related_name="+")
    tool = models.ForeignKey("entitlements.Tool", on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    calls = models.PositiveIntegerField()
    denied = models.PositiveIntegerField()
    people = ArrayField(models.BigIntegerField(), default=list)
    ranges = models.JSONField(default=dict, db_default={})
    last_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="a_day_of_a_line_is_one_row", fields=["agent", "tool", "day", "grant"], nulls_distinct=False
            ),
            models.CheckConstraint(
                name="the_last_call_is_known_where_there_was_one",
                condition=Q(calls=0, last_at=None) | Q(calls__gt=0, last_at__isnull=False),
            ),
        ]
        indexes: ClassVar = [models.Index(name="usage_of_grant", fields=["grant", "day"])]

    def __str__(self) -> str:
        return f"{self.tool_id} on {self.day}: {self.calls}"
