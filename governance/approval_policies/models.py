"""Approval policies, the changes of them that two people make, and the rules that approve without a person."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from entitlements.people.models import Person
from entitlements.proposals.models import TwoPersonProposal, second_person_constraints


class ApprovalPolicy(models.Model):
    """Who must approve, by risk: an ordered list of stages. A change is a new version; the old one stays readable.

    `stages` maps a risk to a list of stage names (`sponsor`, `system_owner`, `security`, `group:<slug>`), each as often
    as it needs people. Without an entitlement it is the default.
    """

    entitlement = models.ForeignKey(
        "entitlements.Entitlement", null=True, blank=True, on_delete=models.PROTECT, related_name="approval_policies"
    )
    number = models.PositiveIntegerField()
    stages = models.JSONField()
    answer_within = models.DurationField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=120)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="policy_versions_are_numbered", fields=["entitlement", "number"], nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entitlement_id or 'default'} v{self.number}"


LONGEST_RULE: Final = timedelta(days=366)

LONGEST_BY_RULE: Final = timedelta(days=90)


def _decider() -> models.ForeignKey[Person | None, Person | None]:
    return models.ForeignKey(
        "entitlements.Person", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )


class PolicyProposal(models.Model):
    """The next version of an approval policy as one person proposes it; another confirms it, or it is withdrawn."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entitlement = models.ForeignKey(
        "entitlements.Entitlement", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    stages = models.JSONField()
    answer_within = models.DurationField()
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey("entitlements.Person", on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField()
    decided_by = _decider()
    decided_at = models.DateTimeField(null=True, blank=True)
    policy = models.OneToOneField(
        ApprovalPolicy, null=True, blank=True, on_delete=models.PROTECT, related_name="proposal"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="a_proposed_policy_says_why", condition=~Q(reason="")),
            models.CheckConstraint(
                name="a_second_person_confirms_a_policy",
                condition=~Q(state="confirmed")
                | (
                    Q(decided_by__isnull=False, decided_at__isnull=False, policy__isnull=False)
                    & ~Q(decided_by=F("proposed_by"))
                ),
            ),
            models.UniqueConstraint(
                name="one_policy_is_proposed_at_a_time",
                fields=["entitlement"],
                condition=Q(state="proposed"),
                nulls_distinct=False,
            ),
        ]
        indexes: ClassVar = [models.Index(name="policy_proposal_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return f"{self.entitlement_id or 'default'}: {self.state}"


class AutoApprovalRule(TwoPersonProposal):
    """Requests for an entitlement that need no person: low risk, reading only, for agents of these kinds, this long.

    With a group, only those are acted for who are in it. It ends by itself, and stands beside the others of its
    entitlement. `longest` and the rest bound what it approves, and the product bounds them.
    """

    entitlement = models.ForeignKey("entitlements.Entitlement", on_delete=models.PROTECT, related_name="approval_rules")
    longest = models.DurationField()
    kinds = models.JSONField()
    group = models.ForeignKey(
        "entitlements.Group", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "governance_approvalrule"
        constraints: ClassVar = [
            *second_person_constraints("an approval rule"),
            models.CheckConstraint(
                name="an_approval_rule_is_bounded",
                condition=Q(
                    longest__gt=timedelta(0),
                    longest__lte=LONGEST_BY_RULE,
                    expires_at__gt=F("proposed_at"),
                    expires_at__lte=F("proposed_at") + LONGEST_RULE,
                ),
            ),
        ]
        indexes: ClassVar = [models.Index(name="approval_rule_page", fields=["-proposed_at", "-id"])]

    def __str__(self) -> str:
        return str(self.id)


class AutoApproval(models.Model):
    """What a rule approved, and that a person looks at it after a week: once, and for good."""

    class Verdict(models.TextChoices):
        KEEP = "keep", "Keep it"
        REVOKE = "revoke", "Take it back"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField("governance.AccessRequest", on_delete=models.PROTECT, related_name="by_rule")
    rule = models.ForeignKey(AutoApprovalRule, on_delete=models.PROTECT, related_name="approved")
    approved_at = models.DateTimeField()
    look_from = models.DateTimeField()
    verdict = models.CharField(max_length=16, choices=Verdict.choices, blank=True)
    looked_by = _decider()
    looked_at = models.DateTimeField(null=True, blank=True)
    finding = models.CharField(max_length=500, blank=True)

    class Meta:
        db_table = "governance_ruleapproval"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="whoever_looked_says_what_they_found",
                condition=Q(verdict="", looked_by=None, looked_at=None, finding="")
                | (
                    Q(verdict__in=["keep", "revoke"], looked_by__isnull=False, looked_at__isnull=False) & ~Q(finding="")
                ),
            ),
        ]
        indexes: ClassVar = [
            models.Index(name="rule_approval_page", fields=["-approved_at", "-id"]),
            models.Index(name="rule_approval_due", fields=["look_from"], condition=Q(verdict="")),
        ]

    def __str__(self) -> str:
        return str(self.request_id)
