"""The versions of guardrails that two people agreed on: only added, never changed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q


class GuardrailVersion(models.Model):
    """One version of a guardrail; the one with the highest position of its key is in force, unless its mode is `off`.

    `conditions` say which calls it is about (`terms`). `position` counts the versions of all
    guardrails, so that the newest is the version of their set. `max_age` is in seconds; `acr` are the contexts of
    which a step-up asks for one.
    """

    class Effect(models.TextChoices):
        FORBID = "forbid", "Forbid"
        HOLD = "hold", "Hold"
        STEP_UP = "step_up", "Step-up"

    class Mode(models.TextChoices):
        OBSERVE = "observe", "Observe"
        ENFORCE = "enforce", "Enforce"
        OFF = "off", "Off"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    position = models.PositiveIntegerField(unique=True)
    key = models.SlugField(max_length=80)
    name = models.CharField(max_length=80)
    effect = models.CharField(max_length=16, choices=Effect.choices)
    mode = models.CharField(max_length=16, choices=Mode.choices)
    conditions = models.JSONField()
    max_age = models.PositiveIntegerField(null=True, blank=True)
    acr = models.JSONField(default=list, db_default=[], blank=True)
    proposed_by = models.CharField(max_length=200)
    confirmed_by = models.CharField(max_length=200)
    made_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_guardrail_says_which_calls", condition=~Q(conditions={})),
            models.CheckConstraint(
                name="two_people_stand_behind_a_guardrail",
                condition=~Q(proposed_by="") & ~Q(confirmed_by="") & ~Q(confirmed_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.position}"
