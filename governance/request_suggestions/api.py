"""What a request could begin with, over REST: the same as the console's form ticks."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.fields import Lasts, OutputSerializer
from entitlements.catalog.models import Entitlement, Tool
from entitlements.errors import Malformed
from entitlements.grants.models import Grant
from entitlements.strict import known_uuid
from governance.eligibility import eligibility
from governance.request_suggestions import narrowest, precedents
from governance.requests.actions import requester
from governance.requests.api.requests import RequestResource


class SuggestedLineSerializer(OutputSerializer):
    """A tool that can be asked for: whether to begin with it, how many like agents hold it, and its past calls."""

    tool = serializers.CharField()
    suggested = serializers.BooleanField()
    held = serializers.IntegerField()
    called = serializers.IntegerField()
    refused = serializers.IntegerField()


class DenialSerializer(OutputSerializer):
    """Why the call was denied. The reasons name arguments and limits, never a value."""

    at = serializers.DateTimeField()
    code = serializers.CharField()
    system = serializers.CharField()
    tool = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())


class NarrowestSerializer(OutputSerializer):
    """The narrowest that a request could begin with, and why. It is only a proposal.

    `limits` are the entitlement's own for these tools. With `denied_call` it resumes that call, and `people` is whom
    the call was for; sent on as the `denied_call` of the request, both are in one trace.
    """

    tools = serializers.ListField(child=serializers.CharField())
    lasts = Lasts()
    by_past = serializers.BooleanField()
    by_peers = serializers.BooleanField()
    by_purpose = serializers.BooleanField()
    time_by_peers = serializers.BooleanField()
    peers = serializers.IntegerField()
    lines = SuggestedLineSerializer(many=True)
    agent = serializers.CharField()
    entitlement = serializers.CharField()
    people = serializers.ListField(child=serializers.CharField())
    limits = serializers.DictField(child=serializers.DictField())
    denied_call = serializers.UUIDField(allow_null=True)
    denial = DenialSerializer(allow_null=True)


class AgentNeeded(Malformed):
    """The agent is missing: you have no active personal agent, or several. Name one."""

    code = "agent_needed"


class EntitlementNeeded(Malformed):
    """The entitlement is missing: no visible one holds the denied tool, or several do. Name one."""

    code = "entitlement_needed"


class Narrowest(RequestResource):
    """Suggest the narrowest access to request.

    The fewest tools and the shortest time; past calls count where you are an owner of the agent.
    """

    parameters: ClassVar[frozenset[str]] = frozenset({"agent", "entitlement", "tool", "denied_call"})

    @extend_schema(
        responses=NarrowestSerializer,
        parameters=[
            OpenApiParameter("agent", str, description="For which agent: by default who asks, or theirs."),
            OpenApiParameter(
                "entitlement", str, description="Of which entitlement, by its scope; without it the one with the tool."
            ),
            OpenApiParameter(
                "denied_call", UUID, description="The `evaluation_id` of a denied call; it names agent and tool."
            ),
            OpenApiParameter("tool", str, description="The tool whose call was refused, if it is about one."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Suggest the fewest tools and the shortest time to ask for; past calls count for the agent's owners."""
        query, by = request.query_params.dict(), requester(self.caller)
        denied = self._denied(query.get("denied_call", ""), by)
        if denied is not None:
            query = {"agent": denied.agent, "tool": denied.tool, **query}
        agent = self.find(self._agents(), slug=query["agent"]) if "agent" in query else self._own(by)
        if denied is not None and denied.agent != agent.slug:
            raise eligibility.DenialUnknown
        entitlement = self._entitlement(query, denied)
        suggestion = precedents.suggest(entitlement, agent, query.get("tool", ""), by=by)
        return Response(NarrowestSerializer(_suggestion_data(suggestion, agent, entitlement, denied)).data)

    def _denied(self, named: str, by: eligibility.Requester) -> precedents.DeniedCall | None:
        """Return the denied call that is named, if any. Raises DenialUnknown where the caller may resume none such."""
        if not named:
            return None
        denied_call = precedents.denied_call(known_uuid(named), by=by)
        if denied_call is None:
            raise eligibility.DenialUnknown
        return denied_call

    def _entitlement(self, query: dict[str, str], denied: precedents.DeniedCall | None) -> Entitlement:
        """Return the entitlement that is named, or the only one with the denied tool. Raises NotFound."""
        offered = visibility.entitlements(self.caller).filter(enabled=True, system__status="active")
        if denied is None or "entitlement" in query:
            return self.find(offered, scope=query.get("entitlement", ""))
        holding = list(offered.filter(system__slug=denied.system, tools__name=denied.tool)[:2])
        if len(holding) != 1:
            raise EntitlementNeeded
        return holding[0]

    def _own(self, by: eligibility.Requester) -> Agent:
        """Return the agent that asks, or the one personal agent of the person who does. Raises AgentNeeded."""
        if isinstance(by, Agent):
            return by
        personal = Agent.objects.filter(sponsor=by, kind=Agent.Kind.PERSONAL, status=Agent.Status.ACTIVE)
        if len(agents := list(personal[:2])) != 1:
            raise AgentNeeded
        return agents[0]

    def _agents(self) -> QuerySet[Agent]:
        """Return the agents that the caller sees, and those that act for them."""
        mine = Q(pk__in=visibility.agents(self.caller).values("pk"))
        if (person := self.caller.human) is not None:
            mine |= Q(pk__in=Grant.objects.filter(subjects__person=person).values("agent"))
        return Agent.objects.filter(mine, status=Agent.Status.ACTIVE)


def _suggestion_data(
    suggestion: precedents.Suggestion, agent: Agent, entitlement: Entitlement, denied: precedents.DeniedCall | None
) -> dict[str, Any]:
    choice, peers = suggestion.choice, suggestion.peers
    enough = peers.count >= narrowest.FEW
    lines = [
        {
            "tool": name,
            "suggested": name in choice.tools,
            "held": peers.holding.get(name, 0) if enough else 0,
            "called": suggestion.past.allowed.get(name, 0),
            "refused": suggestion.past.denied.get(name, 0),
        }
        for name in (line.tool.name for line in suggestion.lines if line.tool.state == Tool.State.APPROVED)
    ]
    why = {name: getattr(choice, name) for name in ("by_past", "by_peers", "by_purpose", "time_by_peers")}
    tools = sorted(choice.tools)
    limits = {line.tool.name: line.limits for line in suggestion.lines if line.tool.name in choice.tools}
    return {
        "tools": tools,
        "lasts": choice.lasts,
        "peers": peers.count if enough else 0,
        "lines": lines,
        "agent": agent.slug,
        "entitlement": entitlement.scope,
        "people": [denied.person] if denied and denied.person else [],
        "limits": limits,
        "denied_call": denied.pk if denied else None,
        "denial": denied,
        **why,
    }
