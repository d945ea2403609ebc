"""Decoys, the agents that they were planted for, and each touch that was followed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Decoy(models.Model):
    """A tool that is none: listed to its agents wherever the tool `beside` is, and answered with `answer`.

    A row is written once, and ended once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=128)
    system = models.ForeignKey("entitlements.System", on_delete=models.PROTECT, related_name="+")
    beside = models.ForeignKey("entitlements.Tool", on_delete=models.PROTECT, related_name="+")
    definition = models.JSONField()
    answer = models.CharField(max_length=500)
    agents = models.ManyToManyField("entitlements.Agent", through="DecoyAgent", related_name="+")
    reason = models.CharField(max_length=500)
    planted_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    planted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_decoy_has_an_answer", condition=~Q(answer="")),
            models.CheckConstraint(
                name="a_decoy_that_ended_says_why",
                condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
            ),
            models.UniqueConstraint(
                name="a_decoy_in_force_has_a_name_of_its_own",
                fields=["system", "name"],
                condition=Q(ended_at=None),
            ),
        ]
        indexes: ClassVar = [models.Index(name="decoy_page", fields=["-planted_at", "-id"])]

    def __str__(self) -> str:
        return self.name


class DecoyAgent(models.Model):
    """An agent that a decoy was planted for."""

    decoy = models.ForeignKey(Decoy, on_delete=models.PROTECT, related_name="planted_for")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="a_decoy_is_planted_for_an_agent_once", fields=["decoy", "agent"])
        ]

    def __str__(self) -> str:
        return f"{self.decoy_id}:{self.agent_id}"


class DecoyTouch(models.Model):
    """A touch that was followed: the event of it, whom it is about, and the signal, if one was noted."""

    event = models.UUIDField(primary_key=True)
    decoy = models.ForeignKey(Decoy, on_delete=models.PROTECT, related_name="touches")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="+")
    signal = models.ForeignKey(
        "entitlements.RiskSignal", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(name="decoy_touch_page", fields=["decoy", "-at"])]

    def __str__(self) -> str:
        return str(self.event)
