"""The session policies, proposed, in force and over."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints
from entitlements.words import Risk

from . import rules

_KINDS: Final = [("personal", "Personal"), ("shared", "Shared"), ("service", "Service"), ("ephemeral", "Ephemeral")]
_RISKS: Final = [(level.value, level.value.title()) for level in Risk]


class SessionPolicy(TwoPersonProposal):
    """How long sessions last, and which sign-in they need; two people agree on it.

    It applies to agents of a kind, at a system, and at a risk level and above it; what is empty matches all. A change
    is another proposal of the same name. A sign-in meets one context of `acr` and every method of `amr`. `on_drift`
    says what follows drift of such a session at least, where a detector of drift is switched on.
    """

    class OnDrift(models.TextChoices):
        STEP_UP = "step_up", "Step-up authentication"
        SUSPEND = "suspend", "Suspend"

    name = models.SlugField(max_length=64)
    agent_kind = models.CharField(max_length=16, blank=True, choices=_KINDS)
    system = models.ForeignKey(
        "entitlements.System", null=True, blank=True, on_delete=models.PROTECT, related_name="session_policies"
    )
    risk = models.CharField(max_length=16, blank=True, choices=_RISKS)
    idle_seconds = models.PositiveIntegerField()
    absolute_seconds = models.PositiveIntegerField()
    max_age_seconds = models.PositiveIntegerField(null=True, blank=True)
    acr = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    amr = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    renews_without_sign_in = models.BooleanField(default=False)
    on_drift = models.CharField(max_length=16, blank=True, choices=OnDrift.choices, default="", db_default="")

    class Meta:
        verbose_name_plural = "session policies"
        constraints: ClassVar = [
            *second_person_constraints("a session policy", "name"),
            models.CheckConstraint(
                name="a_session_policy_answers_drift_in_a_known_way",
                condition=Q(on_drift__in=["", "step_up", "suspend"]),
            ),
            models.CheckConstraint(
                name="a_session_policy_only_shortens_sessions",
                condition=Q(
                    idle_seconds__gte=rules.SHORTEST_IDLE,
                    idle_seconds__lte=rules.IDLE,
                    absolute_seconds__gte=F("idle_seconds"),
                    absolute_seconds__lte=rules.ABSOLUTE,
                ),
            ),
        ]
        indexes: ClassVar = [models.Index(name="session_policy_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"

    @property
    def rule(self) -> rules.Policy:
        """The policy as the rules read it."""
        return rules.Policy(
            self.name,
            Risk(self.risk or Risk.LOW),
            float(self.idle_seconds),
            float(self.absolute_seconds),
            math.inf if self.max_age_seconds is None else float(self.max_age_seconds),
            tuple(self.acr),
            frozenset(self.amr),
            self.renews_without_sign_in,
        )
