"""SoD policies over REST: policies, violations, exceptions, and which agent may call which."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text, Ticket
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.catalog.models import Tool
from entitlements.definitions.classes import DATA_CLASSES, FLOWS
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from governance.api.matrix import MATRIX
from governance.sod import actions, check
from governance.sod import rules as sod_rules
from governance.sod.models import AgentCall, SodException, SodPolicy


def _names() -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=64), max_length=sod_rules.MOST_PATTERNS, required=False)


def _choices(words: Any) -> serializers.ListField:  # noqa: ANN401 - what the framework takes as choices
    return serializers.ListField(child=serializers.ChoiceField(choices=words), max_length=10, required=False)


class SideSelector(InputSerializer):
    """Which tools belong to a side: all given selectors must fit. In names `*` stands for anything."""

    systems = _names()
    tools = _names()
    actions = _choices(Tool.Does.choices)
    risk_at_least = serializers.ChoiceField(choices=Tool.Risk.choices, required=False)
    data_classes = _choices(DATA_CLASSES)
    flows = _choices(FLOWS)


class SodPolicySerializer(TwoPersonSerializer):
    """One version of a rule."""

    name = serializers.CharField()
    number = serializers.IntegerField()
    sentence = serializers.CharField()
    sides = serializers.ListField(child=SideSelector())
    on = serializers.BooleanField()


class SodPolicyInputSerializer(InputSerializer):
    """The first or next version of a rule; another person publishes it."""

    name = Slug()
    sentence = Text(max_length=300)
    sides = serializers.ListField(child=SideSelector(), min_length=2, max_length=sod_rules.MOST_SIDES)
    on = serializers.BooleanField(default=True)
    reason = Text(max_length=500)


class HolderSerializer(OutputSerializer):
    """An agent that violates a policy, and the tools on each side."""

    agent = serializers.CharField(source="agent.slug")
    sides = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class SplitSerializer(OutputSerializer):
    """Agents of one owner that violate a policy together, and none of them alone."""

    owner = serializers.CharField()
    agents = serializers.ListField(child=serializers.CharField())


class HoldersSerializer(OutputSerializer):
    """The current violations of a policy: how many, and the first of them."""

    count = serializers.IntegerField()
    agents = HolderSerializer(many=True)
    splits = SplitSerializer(many=True)


class SodViolationSerializer(OutputSerializer):
    """A violation of an agent, and until when an exception covers it."""

    rule = serializers.CharField()
    sentence = serializers.CharField()
    agent = serializers.CharField()
    sides = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    covered_until = serializers.DateTimeField(allow_null=True)


class SodViolationsSerializer(OutputSerializer):
    """The violations of an agent."""

    combinations = SodViolationSerializer(many=True)


class SodExceptionSerializer(OutputSerializer):
    """An exception of one agent from one version of a rule."""

    id = serializers.UUIDField()
    rule = serializers.CharField(source="rule.name")
    rule_version = serializers.IntegerField(source="rule.number")
    agent = serializers.CharField(source="agent.slug")
    reason = serializers.CharField()
    control = serializers.CharField()
    ticket = serializers.CharField()
    given_by = serializers.CharField(source="given_by.login")
    given_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class SodExceptionInputSerializer(InputSerializer):
    """A new exception from the version of a rule that is in force; `control` says what makes up for it."""

    rule = serializers.UUIDField()
    agent = Slug()
    control = Text(max_length=500)
    expires_at = serializers.DateTimeField()
    reason = Text(max_length=500)
    ticket = Ticket()


class AgentCallSerializer(OutputSerializer):
    """One agent may hand work to another."""

    id = serializers.UUIDField()
    caller = serializers.CharField(source="caller.slug")
    callee = serializers.CharField(source="callee.slug")
    reason = serializers.CharField()
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class AgentCallInputSerializer(InputSerializer):
    """Which agent shall hand work to which."""

    caller = Slug()
    callee = Slug()
    reason = Text(max_length=500)


class RuleFilter(filters.FilterSet):
    """Filters of the list."""

    name = filters.CharFilter()
    state = filters.ChoiceFilter(choices=SodPolicy.State.choices)

    class Meta:
        model = SodPolicy
        fields: ClassVar[list[str]] = []


class ExceptionFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    rule = filters.CharFilter(field_name="rule__name")
    ticket = filters.CharFilter()
    open = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = SodException
        fields: ClassVar[list[str]] = []


class CallFilter(filters.FilterSet):
    """Filters of the list."""

    caller = filters.CharFilter(field_name="caller__slug")
    callee = filters.CharFilter(field_name="callee__slug")
    open = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = AgentCall
        fields: ClassVar[list[str]] = []


class _Rules(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SodPolicySerializer
    subject = actions.POLICY


class Rules(_Rules, Listing, CreateEndpoint):
    """List and propose SoD policies.

    get: List the versions of SoD policies.
    post: Propose a version of an SoD policy. It counts once another person has published it.
    """

    action = actions.PROPOSE
    asked = SodPolicyInputSerializer
    filterset_class = RuleFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read a version of a rule."""
        values = super().read()
        self.about = [f"sod_policy:{values['name']}"]
        return {**values, "sides": [dict(side) for side in values["sides"]]}


class SodPolicyDetail(_Rules, Detail):
    """Show a version of an SoD policy."""


class PublishRule(_Rules, ActionEndpoint):
    """Publish a proposed SoD policy.

    The person who proposed it cannot publish it. Violations that exist show as findings.
    """

    action = actions.PUBLISH


class WithdrawRule(_Rules, ActionEndpoint):
    """Withdraw a proposed SoD policy."""

    action = actions.WITHDRAW


class RuleHolders(_Rules, Detail):
    """List the violations of an SoD policy. Of a version that is proposed or in force."""

    shown = HoldersSerializer

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Look."""
        rule = self.find_row()
        count, broken = check.violating(rule.sides)
        holders = {"count": count, "agents": broken, "splits": check.splits(rule.sides)}
        return Response(HoldersSerializer(holders).data)


class AgentSodViolations(Detail):
    """Show the SoD violations of an agent. By its own grants, and by those of agents that it may call."""

    matrix: ClassVar[Matrix] = MATRIX
    shown = SodViolationsSerializer
    lookup = "slug"

    def rows(self) -> QuerySet[Agent]:
        """Return the agents that the caller sees."""
        return visibility.agents(self.caller)

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - as above
        """Look."""
        held = [violation.as_json() for violation in check.current_violations(self.find_row())]
        return Response(SodViolationsSerializer({"combinations": held}).data)


class _Exceptions(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SodExceptionSerializer
    subject = actions.EXCEPTION


class Exceptions(_Exceptions, Listing, CreateEndpoint):
    """List and give SoD exceptions.

    get: List SoD exceptions.
    post: Give an SoD exception. Until a day, with a mitigating control.
    """

    action = actions.GIVE_EXCEPTION
    asked = SodExceptionInputSerializer
    filterset_class = ExceptionFilter
    ordering = ("-given_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read the exception, and find its agent."""
        values = super().read()
        agent = self.find(visibility.agents(self.caller), slug=values["agent"])
        self.about = [f"agent:{agent.slug}"]
        rule = values.pop("rule")
        return {**values, "rule_id": rule, "agent": agent}


class SodExceptionDetail(_Exceptions, Detail):
    """Show an SoD exception."""


class EndException(_Exceptions, ActionEndpoint):
    """End an SoD exception. What it covered is suspended within a minute."""

    action = actions.END_EXCEPTION


class _Calls(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = AgentCallSerializer
    subject = actions.CALL


class Calls(_Calls, Listing, CreateEndpoint):
    """List and give permissions of agents to call agents.

    get: List which agents may call which.
    post: Permit one agent to call another. Refused where the caller would then violate an SoD policy without an
        exception.
    """

    action = actions.ALLOW_CALL
    asked = AgentCallInputSerializer
    filterset_class = CallFilter
    ordering = ("-made_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read which agent hands work to which, and find both."""
        values, seen = super().read(), visibility.agents(self.caller)
        found = {name: self.find(seen, slug=values[name]) for name in ("caller", "callee")}
        self.about = [f"agent:{agent.slug}" for agent in found.values()]
        return {**values, **found}


class AgentCallDetail(_Calls, Detail):
    """Show a permission of one agent to call another."""


class EndCall(_Calls, ActionEndpoint):
    """End the permission of one agent to call another."""

    action = actions.END_CALL
