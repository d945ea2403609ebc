"""Decoys, the agents that they were planted for, and each touch that was followed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q


class Decoy(models.Model):
    """One decoy. A tool is listed to its agents wherever the tool `beside` is; a credential lies where `place` says.

    Of a credential `name` is what may be shown of it, the client's identifier or the first characters, and `digest` the
    SHA-256 of its secret: nothing else of it is stored. A credential has one agent, in whose surroundings it lies.
    `answer` is what a call of a tool is answered with. A row is written once, and ended once.
    """

    class Kind(models.TextChoices):
        TOOL = "tool", "Tool"
        CLIENT_SECRET = "client_secret", "Client identifier and secret"
        TOKEN = "token", "Access token"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=128)
    system = models.ForeignKey("entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    beside = models.ForeignKey("entitlements.Tool", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    definition = models.JSONField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    place = models.CharField(max_length=300, blank=True)
    agents = models.ManyToManyField("entitlements.Agent", through="DecoyAgent", related_name="+")
    reason = models.CharField(max_length=500)
    planted_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    planted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_decoy_is_a_tool_or_a_credential",
                condition=Q(
                    kind="tool",
                    system__isnull=False,
                    beside__isnull=False,
                    definition__isnull=False,
                    digest="",
                    place="",
                )
                & ~Q(answer="")
                | Q(kind__in=["client_secret", "token"], system=None, beside=None, definition__isnull=True, answer="")
                & ~Q(digest="")
                & ~Q(place=""),
            ),
            models.CheckConstraint(
                name="a_decoy_that_ended_says_why",
                condition=Q(ended_at=None, end_reason="") | Q(ended_at__isnull=False) & ~Q(end_reason=""),
            ),
            models.UniqueConstraint(
                name="a_decoy_in_force_has_a_name_of_its_own",
                fields=["system", "name"],
                condition=Q(ended_at=None, kind="tool"),
            ),
            models.UniqueConstraint(name="a_decoy_secret_is_one_decoy", fields=["digest"], condition=~Q(digest="")),
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
    door = models.CharField(max_length=32)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(name="decoy_touch_page", fields=["decoy", "-at"])]

    def __str__(self) -> str:
        return str(self.event)
