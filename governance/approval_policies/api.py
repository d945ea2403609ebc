"""Who must approve, and which rules approve without a person, over REST: proposed by one, confirmed by another."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Max, Q, QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.fields import InputSerializer, Lasts, OutputSerializer, Slug, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.people.models import Group
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from governance.api.matrix import MATRIX
from governance.approval_policies import actions, policies
from governance.approval_policies.models import ApprovalPolicy, AutoApproval, AutoApprovalRule, PolicyProposal


class StageInputSerializer(InputSerializer):
    """One stage: `sponsor`, `system_owner`, `security` or `group:<slug>`, and how many people it needs."""

    stage = Text(max_length=80)
    people = serializers.IntegerField(min_value=1, max_value=5, default=1)


class StagesInputSerializer(InputSerializer):
    """The stages by risk."""

    low = StageInputSerializer(many=True)
    medium = StageInputSerializer(many=True)
    high = StageInputSerializer(many=True)
    critical = StageInputSerializer(many=True)


class _Stages(OutputSerializer):
    entitlement = serializers.CharField(source="entitlement.scope", default=None, allow_null=True)
    stages = serializers.SerializerMethodField()
    answer_within = Lasts()

    def get_stages(self, found: ApprovalPolicy | PolicyProposal) -> dict[str, list[dict[str, Any]]]:
        """Say by risk which stages, with how many people each."""
        return policies.counted(found.stages)


class PolicySerializer(_Stages):
    """One version of an approval policy; without an entitlement it is the default."""

    id = serializers.IntegerField()
    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class PolicyProposalSerializer(_Stages, TwoPersonSerializer):
    """A next version as a person proposed it, and what became of it."""

    policy = serializers.IntegerField(source="policy_id", allow_null=True)


class PolicyProposalInputSerializer(InputSerializer):
    """The next version of the policy of an entitlement, or of the default without one; another person confirms it."""

    entitlement = Text(max_length=128, required=False, allow_null=True, default=None)
    stages = StagesInputSerializer()
    answer_within = Lasts(required=False, default=policies.ANSWER_WITHIN)
    reason = Text(max_length=500)


class AutoApprovalRuleSerializer(TwoPersonSerializer):
    """A rule that approves without a person: only low risk, only reading."""

    entitlement = serializers.CharField(source="entitlement.scope")
    longest = Lasts()
    kinds = serializers.ListField(child=serializers.CharField())
    group = serializers.CharField(source="group.slug", default=None, allow_null=True)
    expires_at = serializers.DateTimeField()


class AutoApprovalRuleInputSerializer(InputSerializer):
    """What a rule shall approve: which entitlement, how long at most, for which agent types, whom they act for."""

    entitlement = Text(max_length=128)
    longest = Lasts()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=Agent.Kind.choices), max_length=4)
    group = Slug(required=False, allow_null=True, default=None)
    expires_at = serializers.DateTimeField()
    reason = Text(max_length=500)


class AutoApprovalSerializer(OutputSerializer):
    """What a rule approved, and what a person found who looked at it."""

    id = serializers.UUIDField()
    rule = serializers.UUIDField(source="rule_id")
    request = serializers.UUIDField(source="request_id")
    grant = serializers.UUIDField(source="request.grant_id")
    agent = serializers.CharField(source="request.agent.slug")
    entitlement = serializers.CharField(source="request.entitlement.scope")
    approved_at = serializers.DateTimeField()
    look_from = serializers.DateTimeField()
    verdict = serializers.CharField()
    looked_by = serializers.CharField(source="looked_by.login", default=None, allow_null=True)
    looked_at = serializers.DateTimeField(allow_null=True)
    finding = serializers.CharField()


class PolicyFilter(filters.FilterSet):
    """Filters of the list; `current` leaves the newest version of each."""

    entitlement = filters.CharFilter(field_name="entitlement__scope")
    current = filters.BooleanFilter(method="newest")

    class Meta:
        model = ApprovalPolicy
        fields: ClassVar[list[str]] = []

    def newest(self, rows: QuerySet[ApprovalPolicy], _name: str, wanted: bool) -> QuerySet[ApprovalPolicy]:  # noqa: FBT001 - the framework's signature
        """Leave the newest versions, or those that they replaced."""
        newest = ApprovalPolicy.objects.order_by().values("entitlement").annotate(newest=Max("pk")).values("newest")
        return rows.filter(Q(pk__in=newest) if wanted else ~Q(pk__in=newest))


class ProposalFilter(filters.FilterSet):
    """Filters of the list."""

    entitlement = filters.CharFilter(field_name="entitlement__scope")
    state = filters.ChoiceFilter(choices=PolicyProposal.State.choices)

    class Meta:
        model = PolicyProposal
        fields: ClassVar[list[str]] = []


class AutoApprovalRuleFilter(filters.FilterSet):
    """Filters of the list."""

    entitlement = filters.CharFilter(field_name="entitlement__scope")
    state = filters.ChoiceFilter(choices=AutoApprovalRule.State.choices)

    class Meta:
        model = AutoApprovalRule
        fields: ClassVar[list[str]] = []


class AutoApprovalFilter(filters.FilterSet):
    """Filters of the list; `open` leaves what no person has looked at."""

    rule = filters.UUIDFilter()
    agent = filters.CharFilter(field_name="request__agent__slug")
    open = filters.BooleanFilter(field_name="looked_at", lookup_expr="isnull")

    class Meta:
        model = AutoApproval
        fields: ClassVar[list[str]] = []


class _Policies(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = PolicySerializer

    def rows(self) -> QuerySet[ApprovalPolicy]:
        return ApprovalPolicy.objects.select_related("entitlement")


class Policies(_Policies, Listing):
    """List the versions of the approval policies, the newest first."""

    filterset_class = PolicyFilter
    ordering = ("-created_at", "-id")


class PolicyDetail(_Policies, Detail):
    """Show a version of an approval policy."""


class _Proposals(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = PolicyProposalSerializer
    subject = actions.PROPOSAL


class PolicyProposals(_Proposals, Listing, CreateEndpoint):
    """List proposed approval policies, and propose one.

    get: List proposed approval policies.
    post: Propose the next version of an approval policy. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    asked = PolicyProposalInputSerializer
    filterset_class = ProposalFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read a version, and find its entitlement, if it is for one."""
        values = super().read()
        scope, found = values["entitlement"], None
        stages = policies.read(values["stages"])
        if scope is not None:
            self.about = [f"entitlement:{scope}"]
            found = self.find(visibility.entitlements(self.caller), scope=scope)
        return {**values, "entitlement": found, "stages": stages}


class PolicyProposalDetail(_Proposals, Detail):
    """Show a proposed approval policy."""


class ConfirmPolicy(_Proposals, ActionEndpoint):
    """Confirm a proposed approval policy. The person who proposed it cannot confirm it."""

    action = actions.CONFIRM


class WithdrawPolicy(_Proposals, ActionEndpoint):
    """Withdraw a proposed approval policy."""

    action = actions.WITHDRAW


class _AutoApprovalRules(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = AutoApprovalRuleSerializer
    subject = actions.RULE


class AutoApprovalRules(_AutoApprovalRules, Listing, CreateEndpoint):
    """List auto-approval rules, and propose one.

    get: List auto-approval rules.
    post: Propose an auto-approval rule. It approves nothing before another person has confirmed it.
    """

    action = actions.PROPOSE_RULE
    asked = AutoApprovalRuleInputSerializer
    filterset_class = AutoApprovalRuleFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read a rule, and find its group and entitlement."""
        values = super().read()
        slug = values["group"]
        group = self.find(Group.objects.all(), slug=slug) if slug is not None else None
        found = self.find(visibility.entitlements(self.caller), scope=values["entitlement"])
        self.about = [f"entitlement:{found.scope}"]
        return {**values, "group": group, "entitlement": found}


class AutoApprovalRuleDetail(_AutoApprovalRules, Detail):
    """Show an auto-approval rule."""


class ConfirmAutoApprovalRule(_AutoApprovalRules, ActionEndpoint):
    """Confirm a proposed auto-approval rule. The person who proposed it cannot confirm it."""

    action = actions.CONFIRM_RULE


class WithdrawAutoApprovalRule(_AutoApprovalRules, ActionEndpoint):
    """Withdraw a proposed auto-approval rule."""

    action = actions.WITHDRAW_RULE


class EndAutoApprovalRule(_AutoApprovalRules, ActionEndpoint):
    """End an auto-approval rule. It approves nothing more; what it approved stays."""

    action = actions.END_RULE


class _AutoApprovals(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = AutoApprovalSerializer
    subject = actions.AUTO_APPROVAL


class AutoApprovals(_AutoApprovals, Listing):
    """List what auto-approval rules approved."""

    filterset_class = AutoApprovalFilter
    ordering = ("-approved_at", "-id")


class AutoApprovalDetail(_AutoApprovals, Detail):
    """Show an auto-approval."""


class ReviewAutoApproval(_AutoApprovals, ActionEndpoint):
    """Decide whether auto-approved access stays. `revoke` ends it in the same step."""

    action = actions.REVIEW
