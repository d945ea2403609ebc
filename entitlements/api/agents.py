"""Agents: list, register, look, edit, suspend, restore, retire."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import agents
from entitlements.models import Agent

from . import preconditions, visibility
from .endpoints import Act, Listing, Look, Resource
from .fields import Shown, Slug, Strict, Text
from .people import known_person


class AgentFilter(filters.FilterSet):
    """Filters of the list."""

    status = filters.ChoiceFilter(choices=Agent.Status.choices)
    kind = filters.ChoiceFilter(choices=Agent.Kind.choices)
    sponsor = filters.CharFilter(field_name="sponsor__login")
    owner = filters.CharFilter(field_name="owner__login")

    class Meta:
        model = Agent
        fields: ClassVar[list[str]] = []


class AgentShown(Shown):
    """An agent and the humans who answer for it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Agent.Kind.choices)
    purpose = serializers.CharField()
    sponsor = serializers.CharField(source="sponsor.login")
    owner = serializers.CharField(source="owner.login", allow_null=True, default=None)
    backup = serializers.CharField(source="backup.login", allow_null=True, default=None)
    status = serializers.ChoiceField(choices=Agent.Status.choices)
    status_reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class AgentAsked(Strict):
    """A new agent."""

    slug = Slug()
    name = Text(max_length=200)
    kind = serializers.ChoiceField(choices=Agent.Kind.choices)
    purpose = Text(max_length=500, default="", allow_blank=True)
    sponsor = Text(max_length=64)
    owner = Text(max_length=64, allow_null=True, default=None)


class AgentEdited(Strict):
    """What can be edited; sponsor and owner change by their own acts, with the consent of the new ones."""

    name = Text(max_length=200, required=False)
    purpose = Text(max_length=500, required=False, allow_blank=True)


class _Agents(Resource):
    shown = AgentShown
    lookup = "slug"

    def rows(self) -> QuerySet[Agent]:
        return visibility.agents(self.caller)

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"agent:{found.slug}"]


class Agents(_Agents, Listing):
    """List agents, or register one with the human who answers for it."""

    filterset_class = AgentFilter
    ordering = ("slug",)
    asked = AgentAsked
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Register an agent."""
        asked = self.body(AgentAsked)
        sponsor = known_person(asked.pop("sponsor"))
        owner = known_person(login) if (login := asked.pop("owner")) else None
        made = agents.register(**asked, sponsor=sponsor, owner=owner, by=self.principal)
        return self.again(made, status=HTTPStatus.CREATED)


class One(_Agents, Look):
    """Show an agent, or edit its name and purpose."""

    asked = AgentEdited

    def patch(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Edit it, from the version that If-Match names."""
        found = self.found()
        self.permit(found, *self.links(found))
        preconditions.require(request, found.version)
        agents.edit(found, by=self.principal, version=found.version, **self.body(AgentEdited))
        return self.again(found)


class Suspend(_Agents, Act):
    """Stop an agent at once: no token, no call."""

    verb = staticmethod(agents.suspend)


class Restore(_Agents, Act):
    """Let a suspended agent work again; never by whoever stopped it."""

    verb = staticmethod(agents.restore)


class Retire(_Agents, Act):
    """End an agent for good."""

    verb = staticmethod(agents.retire)
