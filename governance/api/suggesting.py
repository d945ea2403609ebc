"""What a request could begin with, over REST: the same as the console's form ticks."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import visibility
from entitlements.api.fields import Lasts, Shown
from entitlements.errors import Malformed
from entitlements.models import Agent, Grant, Tool
from governance import asking, narrowest, precedents

from .requests import OfRequests


class LineSuggested(Shown):
    """A tool that can be asked for: whether to begin with it, how many like agents hold it, and its past calls."""

    tool = serializers.CharField()
    suggested = serializers.BooleanField()
    held = serializers.IntegerField()
    called = serializers.IntegerField()
    refused = serializers.IntegerField()


class NarrowestShown(Shown):
    """The narrowest that a request could begin with, and why. It is a proposal: what is asked for is said anew."""

    tools = serializers.ListField(child=serializers.CharField())
    lasts = Lasts()
    by_past = serializers.BooleanField()
    by_peers = serializers.BooleanField()
    by_purpose = serializers.BooleanField()
    time_by_peers = serializers.BooleanField()
    peers = serializers.IntegerField()
    lines = LineSuggested(many=True)


class AgentNeeded(Malformed):
    """Say for which agent: you have no personal agent in use, or several."""

    code = "agent_needed"


class Narrowest(OfRequests):
    """GET /requests/narrowest."""

    parameters: ClassVar[frozenset[str]] = frozenset({"agent", "entitlement", "tool"})

    @extend_schema(
        responses=NarrowestShown,
        parameters=[
            OpenApiParameter("agent", str, description="For which agent: by default who asks, or theirs."),
            OpenApiParameter("entitlement", str, required=True, description="Of which entitlement, by its scope."),
            OpenApiParameter("tool", str, description="The tool whose call was refused, if it is about one."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Suggest the fewest tools and the shortest time to ask for; past calls count for who answers for the agent."""
        asked, by = request.query_params, self.asker()
        agent = self.find(self._agents(), slug=asked["agent"]) if "agent" in asked else self._own(by)
        offered = visibility.entitlements(self.caller).filter(enabled=True, system__status="active")
        entitlement = self.find(offered, scope=asked.get("entitlement", ""))
        return Response(
            NarrowestShown(_said(precedents.suggest(entitlement, agent, asked.get("tool", ""), by=by))).data
        )

    def _own(self, by: asking.Asker) -> Agent:
        """Return the agent that asks, or the one personal agent of the person who does. Raises AgentNeeded."""
        if isinstance(by, Agent):
            return by
        personal = Agent.objects.filter(sponsor=by, kind=Agent.Kind.PERSONAL, status=Agent.Status.ACTIVE)
        if len(found := list(personal[:2])) != 1:
            raise AgentNeeded
        return found[0]

    def _agents(self) -> QuerySet[Agent]:
        """Return the agents that the caller sees, and those that act for them."""
        mine = Q(pk__in=visibility.agents(self.caller).values("pk"))
        if (person := self.caller.human) is not None:
            mine |= Q(pk__in=Grant.objects.filter(subjects__person=person).values("agent"))
        return Agent.objects.filter(mine, status=Agent.Status.ACTIVE)


def _said(found: precedents.Suggested) -> dict[str, Any]:
    choice, peers = found.choice, found.peers
    enough = peers.count >= narrowest.FEW
    lines = [
        {
            "tool": name,
            "suggested": name in choice.tools,
            "held": peers.holding.get(name, 0) if enough else 0,
            "called": found.past.allowed.get(name, 0),
            "refused": found.past.denied.get(name, 0),
        }
        for name in (line.tool.name for line in found.lines if line.tool.state == Tool.State.APPROVED)
    ]
    why = {name: getattr(choice, name) for name in ("by_past", "by_peers", "by_purpose", "time_by_peers")}
    tools = sorted(choice.tools)
    return {"tools": tools, "lasts": choice.lasts, "peers": peers.count if enough else 0, "lines": lines, **why}
