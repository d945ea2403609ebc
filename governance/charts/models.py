"""Numbers that take seconds to count: kept with the time of which they are (`governance/charts/figures.py`)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Figure(models.Model):
    """What was counted under a name, and as of when. It can be counted again at any time, and decides nothing."""

    name = models.CharField(primary_key=True, max_length=100)
    value = models.JSONField()
    as_of = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="a_figure_has_a_name", condition=~models.Q(name=""))]

    def __str__(self) -> str:
        return self.name
