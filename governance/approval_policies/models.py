"""Approval policies, the changes of them that two people make, and the rules that approve without a person."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from entitlements.proposals.models import TwoPersonProposal, second_person, second_person_constraints


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


class PolicyProposal(TwoPersonProposal):
    """The next version of an approval policy as one person proposes it; another confirms it, or it is withdrawn."""

    entitlement = models.ForeignKey(
        "entitlements.Entitlement", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    stages = models.JSONField()
    answer_within = models.DurationField()
    policy = models.OneToOneField(
        ApprovalPolicy, null=True, blank=True, on_delete=models.PROTECT, related_name="proposal"
    )

    class Meta:
        constraints: ClassVar = [
            *second_person_constraints("an approval policy", "entitlement"),
            models.CheckConstraint(
                name="a_confirmed_approval_policy_is_a_version",
                condition=Q(state__in=["proposed", "withdrawn"], policy=None)
                | Q(state__in=["in_force", "replaced", "ended"], policy__isnull=False),
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
            *second_person_constraints("an approval rule", is_single=False),
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
    looked_by = second_person()
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
