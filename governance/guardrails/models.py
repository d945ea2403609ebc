"""Proposed guardrails with their replay, and the calls that observing ones would have changed, by day."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from entitlements.guardrails.models import GuardrailVersion
from entitlements.proposals.models import TwoPersonProposal, second_person_constraints


class GuardrailProposal(TwoPersonProposal):
    """The next version of a guardrail as one person proposes it; another confirms it, or it is withdrawn.

    `version` is the position that it got. `what_if` is its last replay over recorded calls, if it was replayed.
    """

    key = models.SlugField(max_length=80)
    name = models.CharField(max_length=80)
    effect = models.CharField(max_length=16, choices=GuardrailVersion.Effect.choices)
    mode = models.CharField(max_length=16, choices=GuardrailVersion.Mode.choices)
    conditions = models.JSONField()
    max_age = models.PositiveIntegerField(null=True, blank=True)
    acr = models.JSONField(default=list, db_default=[], blank=True)
    version = models.PositiveIntegerField(null=True, blank=True)
    what_if = models.ForeignKey(
        "governance.WhatIf", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            *second_person_constraints("a guardrail", "key"),
            models.CheckConstraint(
                name="a_confirmed_guardrail_is_a_version",
                condition=Q(state__in=["proposed", "withdrawn"], version=None)
                | Q(state__in=["in_force", "replaced", "ended"], version__isnull=False),
            ),
        ]
        indexes: ClassVar = [models.Index(name="guardrail_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"

    @property
    def is_replayed(self) -> bool:
        """Whether its replay has read all its calls."""
        return self.what_if is not None and self.what_if.state == "finished"


class ObservedCalls(models.Model):
    """How many calls of one agent, tool and person a version of a guardrail would have changed on a day (UTC).

    `person` is empty for an agent on its own, `tool` is `system/tool`.
    """

    version = models.PositiveIntegerField()
    day = models.DateField()
    agent = models.CharField(max_length=200)
    tool = models.CharField(max_length=200)
    person = models.CharField(max_length=200, blank=True)
    calls = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="observed_calls_are_counted_once_a_day", fields=["version", "day", "agent", "tool", "person"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.version}, {self.day}: {self.calls}"
