"""Agents: list, register, look, edit, activate, suspend, restore, retire; what they run; which kinds may be."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents import actions, lifecycle, versions
from entitlements.agents.models import Agent, AgentTypeRule, AgentVersion
from entitlements.api.actions import Performed
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, EditEndpoint, Listing, Resource
from entitlements.errors import NotFound
from entitlements.people.api import known_person


class AgentFilter(filters.FilterSet):
    """Filters of the list."""

    status = filters.ChoiceFilter(choices=Agent.Status.choices)
    kind = filters.ChoiceFilter(choices=Agent.Kind.choices)
    sponsor = filters.CharFilter(field_name="sponsor__login")
    owner = filters.CharFilter(field_name="owner__login")
    business_critical = filters.BooleanFilter()

    class Meta:
        model = Agent
        fields: ClassVar[list[str]] = []


class AgentSerializer(OutputSerializer):
    """An agent and the people responsible for it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Agent.Kind.choices)
    purpose = serializers.CharField()
    sponsor = serializers.CharField(source="sponsor.login")
    owner = serializers.CharField(source="owner.login", allow_null=True, default=None)
    backup = serializers.CharField(source="backup.login", allow_null=True, default=None)
    risk_level = serializers.ChoiceField(
        choices=["low", "medium", "high"], required=False, help_text="Left out where it is about you or your agent."
    )
    held_by_risk = serializers.BooleanField(help_text="A risk signal about the agent holds its calls.")
    status = serializers.ChoiceField(choices=Agent.Status.choices)
    status_reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    activated_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    business_critical = serializers.BooleanField()

    def to_representation(self, instance: Agent) -> dict[str, Any]:
        """Leave the risk level out for the agent itself and who answers for it: it would tell what was noticed."""
        shown = super().to_representation(instance)
        caller = getattr(self.context.get("request"), "auth", None)
        return (
            shown
            if isinstance(caller, Caller) and caller.sees_everything
            else {name: value for name, value in shown.items() if name != "risk_level"}
        )


class _Agents(Resource):
    shown = AgentSerializer
    subject = actions.AGENT


class Agents(_Agents, Listing, CreateEndpoint):
    """List agents, and register one.

    get: List the agents that you can see.
    post: Register an agent with its sponsor. With `staged` it stays pending until its sponsor activates it. It holds
        no access before a request for it is approved.
    """

    action = actions.REGISTER
    filterset_class = AgentFilter
    ordering = ("slug",)

    def read(self) -> dict[str, Any]:
        """Read the agent, with its people by login."""
        values = super().read()
        owner = known_person(login) if (login := values.pop("owner")) else None
        return {**values, "sponsor": known_person(values["sponsor"]), "owner": owner}


class One(_Agents, Detail, EditEndpoint):
    """Show an agent, and edit it.

    get: Show an agent.
    patch: Edit an agent's name or purpose.
    """

    action = actions.EDIT


class Criticality(_Agents, ActionEndpoint):
    """Set whether an agent is business critical.

    No deadline of an access review takes access from a business-critical agent by itself: a person decides.
    """

    action = actions.RATE


class Activate(_Agents, ActionEndpoint):
    """Activate a pending agent.

    Its sponsor accepts the responsibility for it. Before that it can hold nothing and do nothing.
    """

    action = actions.ACTIVATE


class Suspend(_Agents, ActionEndpoint):
    """Suspend an agent at once. It gets no token, and each of its calls is refused, until it is restored."""

    action = actions.SUSPEND


class Restore(_Agents, ActionEndpoint):
    """Restore a suspended agent. The person who suspended it cannot restore it."""

    action = actions.RESTORE


class Retire(_Agents, ActionEndpoint):
    """Retire an agent for good. What it holds is revoked and its clients are disabled. This cannot be undone."""

    action = actions.RETIRE


class AgentVersionSerializer(OutputSerializer):
    """What an agent runs since when, and who reported it."""

    model = serializers.CharField()
    prompt_sha256 = serializers.CharField()
    client_metadata_sha256 = serializers.CharField()
    source = serializers.ChoiceField(choices=AgentVersion.Source.choices)  # type: ignore[assignment]
    attested = serializers.BooleanField(
        source="is_attested", help_text="Whether a build said so; else it is only reported, and counts as not seen."
    )
    reported_at = serializers.DateTimeField()
    reported_by = serializers.CharField()


class AgentVersionInputSerializer(InputSerializer):
    """What an agent runs from now on. Prompt and metadata are given as their SHA-256 in hexadecimal."""

    model = Text(max_length=200)
    prompt_sha256 = Text(max_length=64, default="", allow_blank=True)
    client_metadata_sha256 = Text(max_length=64, default="", allow_blank=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=AgentVersion.Source.choices, default=AgentVersion.Source.UNKNOWN
    )


class VersionFilter(filters.FilterSet):
    """Filters of the list."""

    source = filters.ChoiceFilter(choices=AgentVersion.Source.choices)

    class Meta:
        model = AgentVersion
        fields: ClassVar[list[str]] = []


class Versions(Listing, ActionEndpoint):
    """List the versions of an agent, and report one.

    get: List the versions an agent ran, the newest first.
    post: Report the version that an agent runs now. Reporting the same version again changes nothing.
    """

    action = actions.REPORT_VERSION
    is_versioned = False
    asked = AgentVersionInputSerializer
    shown = AgentVersionSerializer
    filterset_class = VersionFilter
    ordering = ("-reported_at", "-id")
    answers = HTTPStatus.CREATED

    def rows(self) -> QuerySet[AgentVersion]:
        """Return what the agent ran."""
        return AgentVersion.objects.filter(agent=self._agent())

    def get(self, request: Request, **_named: object) -> Response:
        """Answer one page."""
        return super().get(request)

    def find_row(self) -> Agent:
        """Return the agent that the address names. Raises NotFound."""
        return self._agent()

    def read(self) -> dict[str, Any]:
        """Read what the agent runs now."""
        return {"version": versions.Version(**super().read())}

    def answer(self, performed: Performed) -> Response:
        """Answer with what was reported; the same again is not new."""
        row, new = performed.result
        return self.show(row, status=HTTPStatus.CREATED if new else HTTPStatus.OK)

    def _agent(self) -> Agent:
        return self.find(visibility.agents(self.caller), slug=self.kwargs["key"])


class AgentTypeSerializer(OutputSerializer):
    """An agent type, whether such agents may be registered, and who decided this when and why."""

    kind = serializers.ChoiceField(choices=Agent.Kind.choices)
    allowed = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    changed_by = serializers.CharField(allow_blank=True)
    changed_at = serializers.DateTimeField(allow_null=True)


class AgentTypesSerializer(OutputSerializer):
    """Every agent type; there is no next page."""

    results = AgentTypeSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def rule_of_kind(kind: str) -> AgentTypeRule:
    """Return the rule of a kind; a kind without one is allowed. Raises NotFound."""
    if kind not in Agent.Kind.values:
        raise NotFound
    return lifecycle.kind_rules()[kind] or AgentTypeRule(kind=kind, allowed=True)


class Kinds(Resource):
    """List the agent types and whether each may be registered."""

    shown = AgentTypesSerializer

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List them."""
        rows = [rule_of_kind(kind) for kind in Agent.Kind.values]
        return Response(AgentTypesSerializer({"results": rows, "next": None}).data)


class Kind(ActionEndpoint):
    """Allow an agent type, or forbid it. Agents of this type that exist stay as they are."""

    action = actions.SET_TYPE_RULE
    shown = AgentTypeSerializer

    def find_row(self) -> str:
        """Return the kind that the address names. Raises NotFound."""
        return str(rule_of_kind(self.kwargs["key"]).kind)

    def answer(self, performed: Performed) -> Response:
        """Answer with the rule of the kind."""
        return self.show(rule_of_kind(performed.row))
