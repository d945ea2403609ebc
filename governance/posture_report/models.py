"""The figures of the posture report at the end of a month, for the company and for each department."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class PostureSnapshot(models.Model):
    """The figures of one department at the end of a month, as counted at `taken_at`, shortly after it.

    `month` is its first day. `department` is None for the company, and empty for agents of no department. `figures` are
    numbers by the key of the figure; `biggest` the agents with the biggest blast radius. Never changed.
    """

    month = models.DateField()
    department = models.CharField(max_length=300, null=True, blank=True)  # noqa: DJ001 - None is the company
    figures = models.JSONField()
    biggest = models.JSONField(default=list)
    taken_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="one_snapshot_of_a_month_and_department", fields=["month", "department"], nulls_distinct=False
            ),
            models.CheckConstraint(name="a_snapshot_is_of_a_whole_month", condition=Q(month__day=1)),
        ]
        indexes: ClassVar = [models.Index(name="snapshot_of_department", fields=["department", "-month"])]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {'company' if self.department is None else self.department}"
