"""SoD policies, the exceptions from them, and which agent may call which."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from entitlements.proposals.models import TwoPersonProposal, second_person_constraints

LONGEST_EXCEPTION: Final = timedelta(days=180)


class SodPolicy(TwoPersonProposal):
    """One version of a rule: `sides` of tools (as `rules.read` reads them) that no agent may hold together.

    A change is a new version; the old one stays readable.
    """

    name = models.SlugField(max_length=64)
    number = models.PositiveIntegerField()
    sentence = models.CharField(max_length=300)
    sides = models.JSONField()
    on = models.BooleanField(default=True)

    class Meta:
        db_table = "governance_combinationrule"
        constraints: ClassVar = [
            *second_person_constraints("an sod policy", "name"),
            models.UniqueConstraint(name="combination_rule_versions_are_numbered", fields=["name", "number"]),
        ]
        indexes: ClassVar = [models.Index(name="combination_rule_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"


class SodException(models.Model):
    """One agent may violate one SoD policy for a while, since a mitigating control makes up for it. Never deleted.

    It holds for one version of the rule: a changed rule needs a new exception.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(SodPolicy, on_delete=models.PROTECT, related_name="exceptions")
    agent = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="sod_exceptions")
    reason = models.CharField(max_length=500)
    control = models.CharField(max_length=500)
    ticket = models.CharField(max_length=64, blank=True, default="", db_default="")
    given_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+")
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "governance_combinationexception"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="an_exception_says_why_and_what_makes_up_for_it", condition=~Q(reason="") & ~Q(control="")
            ),
            models.CheckConstraint(
                name="an_exception_ends_within_180_days",
                condition=Q(expires_at__gt=F("given_at"), expires_at__lte=F("given_at") + LONGEST_EXCEPTION),
            ),
            models.CheckConstraint(name="an_ended_exception_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
            models.UniqueConstraint(
                name="one_open_exception_per_rule_and_agent", fields=["rule", "agent"], condition=Q(ended_at=None)
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="combination_exception_page", fields=["-given_at", "-id"]),
            models.Index(name="combination_exception_due", fields=["expires_at"], condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AgentCall(models.Model):
    """One agent may hand work to another: what the other may do, it can have done. Never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    caller = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="calls_to")
    callee = models.ForeignKey("entitlements.Agent", on_delete=models.PROTECT, related_name="calls_from")
    reason = models.CharField(max_length=500)
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="an_agent_does_not_call_itself", condition=~Q(caller=F("callee"))),
            models.CheckConstraint(name="an_ended_call_says_why", condition=Q(ended_at=None) | ~Q(end_reason="")),
            models.UniqueConstraint(
                name="one_open_call_per_pair_of_agents", fields=["caller", "callee"], condition=Q(ended_at=None)
            ),
        ]
        indexes: ClassVar = [models.Index(name="agent_call_page", fields=["-made_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.caller_id} -> {self.callee_id}"
