"""SoD policies over REST: policies, violations, exceptions, and which agent may call which."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Slug, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Detail, Listing, Resource
from entitlements.catalog.models import Tool
from entitlements.definitions.classes import DATA_CLASSES, FLOWS
from entitlements.errors import Forbidden
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.sod import agent_calls, check, exceptions, policies
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


class SodPolicySerializer(OutputSerializer):
    """One version of a rule."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    number = serializers.IntegerField()
    sentence = serializers.CharField()
    sides = serializers.ListField(child=SideSelector())
    on = serializers.BooleanField()
    state = serializers.ChoiceField(choices=SodPolicy.State.choices)
    reason = serializers.CharField()
    proposed_by = serializers.CharField(source="proposed_by.login")
    proposed_at = serializers.DateTimeField()
    published_by = serializers.CharField(source="published_by.login", allow_null=True, default=None)
    published_at = serializers.DateTimeField(allow_null=True)


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


def first_hand(view: Resource) -> Person:
    """Return the person who calls. Raises Forbidden for a script or an agent."""
    if view.caller.human is None:
        raise Forbidden
    return view.caller.human


class PersonAction(Resource):
    """An action of a person on one row, with a reason for the audit log."""

    matrix: ClassVar[Matrix] = MATRIX
    asked = ReasonInputSerializer
    verb: ClassVar[Callable[..., Any]]

    def post(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Do it, and answer with the row as it is then."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        type(self).verb(row.pk, by=self.actor(), reason=self.body(ReasonInputSerializer)["reason"])
        return self.again(row)

    def actor(self) -> Any:  # noqa: ANN401 - a person, or a principal
        """Return who acts, as the verb wants it."""
        return first_hand(self)


class _Rules(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = SodPolicySerializer

    def rows(self) -> QuerySet[SodPolicy]:
        return SodPolicy.objects.select_related("proposed_by", "published_by")

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return policies.about(row)


class Rules(_Rules, Listing):
    """List the versions of rules, or propose one."""

    filterset_class = RuleFilter
    ordering = ("-proposed_at", "-id")
    asked = SodPolicyInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Propose a version."""
        body = self.body(SodPolicyInputSerializer)
        self.about = [f"sod_policy:{body['name']}"]
        sides = [dict(side) for side in body.pop("sides")]
        rule = policies.propose(body.pop("name"), sides=sides, by=first_hand(self), **body)
        return self.again(rule, status=HTTPStatus.CREATED)


class SodPolicyDetail(_Rules, Detail):
    """Show one version of a rule."""


class PublishRule(_Rules, PersonAction):
    """Put a proposed version in force. The person who proposed it cannot do this."""

    verb = staticmethod(policies.publish)


class WithdrawRule(_Rules, PersonAction):
    """Drop a proposed version."""

    verb = staticmethod(policies.withdraw)


class RuleHolders(_Rules, Detail):
    """Show the current violations of a version of a rule, proposed or in force."""

    shown = HoldersSerializer

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Look."""
        rule = self.find_row()
        count, broken = check.violating(rule.sides)
        holders = {"count": count, "agents": broken, "splits": check.splits(rule.sides)}
        return Response(HoldersSerializer(holders).data)


class AgentSodViolations(Detail):
    """Show the violations of an agent, by its own grants and by agents that it may call."""

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

    def rows(self) -> QuerySet[SodException]:
        return SodException.objects.select_related("rule", "agent", "given_by")

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return exceptions.about(row)


class Exceptions(_Exceptions, Listing):
    """List the exceptions from rules, or give one."""

    filterset_class = ExceptionFilter
    ordering = ("-given_at", "-id")
    asked = SodExceptionInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Give an exception."""
        body = self.body(SodExceptionInputSerializer)
        agent = self.find(visibility.agents(self.caller), slug=body.pop("agent"))
        self.about = [f"agent:{agent.slug}"]
        exception = exceptions.give(body.pop("rule"), agent, by=first_hand(self), **body)
        return self.again(exception, status=HTTPStatus.CREATED)


class SodExceptionDetail(_Exceptions, Detail):
    """Show one exception."""


class EndException(_Exceptions, PersonAction):
    """End an exception; within a minute what it covered is suspended."""

    verb = staticmethod(exceptions.end)


class _Calls(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = AgentCallSerializer

    def rows(self) -> QuerySet[AgentCall]:
        seen = visibility.agents(self.caller)
        rows = AgentCall.objects.select_related("caller", "callee")
        return rows.filter(caller__in=seen) | rows.filter(callee__in=seen)

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return agent_calls.about(row)


class Calls(_Calls, Listing):
    """List which agent may hand work to which, or allow it."""

    filterset_class = CallFilter
    ordering = ("-made_at", "-id")
    asked = AgentCallInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Let one agent hand work to another."""
        body, seen = self.body(AgentCallInputSerializer), visibility.agents(self.caller)
        caller, callee = (self.find(seen, slug=body[name]) for name in ("caller", "callee"))
        self.about = [f"agent:{caller.slug}", f"agent:{callee.slug}"]
        call = agent_calls.allow(caller, callee, by=self.principal, reason=body["reason"])
        return self.again(call, status=HTTPStatus.CREATED)


class AgentCallDetail(_Calls, Detail):
    """Show that one agent may hand work to another."""


class EndCall(_Calls, PersonAction):
    """Let one agent no longer hand work to another."""

    verb = staticmethod(agent_calls.end)

    def actor(self) -> Any:  # noqa: ANN401 - as above
        """Return the principal."""
        return self.principal
