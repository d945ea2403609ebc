"""Agents that nobody uses: how far the question whether they are still needed has come."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.models import Agent, Person


class Dormancy(models.Model):
    """The step at which an agent stands, since when, and when somebody last said that it is still needed.

    An agent without a row is in use, or too new to tell.
    """

    class Step(models.IntegerChoices):
        IN_USE = 0, "In use"
        WARNED = 1, "Unused for a while"
        ASKED = 2, "Is it still needed?"

    agent = models.OneToOneField(Agent, primary_key=True, on_delete=models.CASCADE, related_name="dormancy")
    step = models.PositiveSmallIntegerField(choices=Step.choices)
    since = models.DateTimeField()
    kept_at = models.DateTimeField(null=True, blank=True)
    kept_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    kept_because = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="dormancy_step_is_known", condition=Q(step__in=[0, 1, 2])),
            models.CheckConstraint(
                name="whoever_keeps_an_agent_says_why",
                condition=Q(kept_at=None, kept_by=None, kept_because="")
                | (Q(kept_at__isnull=False, kept_by__isnull=False) & ~Q(kept_because="")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="dormancy_asked", fields=["step", "since"], condition=Q(step__gt=0))]

    def __str__(self) -> str:
        return f"{self.agent_id}: {self.step}"
