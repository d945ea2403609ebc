"""Several things at once: each for itself, with what became of it (207, RFC 4918)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from audit.draft import BadEvent
from audit.redaction import Unrepresentable
from entitlements.access import visibility
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import tools as tools_actions
from entitlements.catalog.actions import approve
from entitlements.catalog.api import tools
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError
from entitlements.grants import grants

from . import problems
from .endpoints import Endpoint
from .fields import InputSerializer, OutputSerializer, Text

MOST: Final = 200


class NamedTool(InputSerializer):
    """A tool, by its system and its name."""

    system = Text(max_length=64)
    name = Text(max_length=128)


class ToolApprovalInputSerializer(tools.ApprovalInputSerializer, NamedTool):
    """One tool and a person's approval of it."""


class ToolsApprovalInputSerializer(InputSerializer):
    """Tools to approve."""

    items = serializers.ListField(child=ToolApprovalInputSerializer(), min_length=1, max_length=MOST)


class ToolsStopInputSerializer(InputSerializer):
    """Tools to disable, and why."""

    items = serializers.ListField(child=NamedTool(), min_length=1, max_length=MOST)
    reason = Text(max_length=500)


class Outcome(OutputSerializer):
    """What became of one thing: 200 with its new state, or a problem's status, code and sentence."""

    status = serializers.IntegerField()
    state = serializers.CharField(allow_null=True, default=None)
    code = serializers.CharField(allow_null=True, default=None)
    detail = serializers.CharField(allow_null=True, default=None)
    facts = serializers.DictField(allow_null=True, default=None)


class ResultSerializer(Outcome):
    """What became of one tool: 200 with its new state, or a problem's status, code and sentence."""

    system = serializers.CharField()
    name = serializers.CharField()


class ResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = ResultSerializer(many=True)


class Bulk(Endpoint):
    """Acts on each item of a list, in a transaction of its own."""

    shown: ClassVar[type[OutputSerializer]] = ResultsSerializer
    names: ClassVar[tuple[str, ...]]
    answers = HTTPStatus.MULTI_STATUS
    durable = True

    def act_on(self, names: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Find one thing by its names, check the right to it, and act; return the fields of the answer."""
        raise NotImplementedError

    def each(self, items: list[dict[str, Any]], **common: Any) -> Response:  # noqa: ANN401 - what holds for all
        """Act on each item for itself: one that is refused is recorded, and does not hold up the others."""
        self._permitted = self._weighed = True  # each is asked for itself, and none that was not is touched
        results = [self._result(item, common) for item in items]
        return Response(self.shown({"results": results}).data, status=HTTPStatus.MULTI_STATUS)

    def _result(self, item: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
        names = {name: item.pop(name) for name in self.names}
        self.about = []
        try:
            with transaction.atomic():
                return {**names, "status": HTTPStatus.OK, **self.act_on(names, {**common, **item})}
        except (DomainError, APIException, BadEvent, Unrepresentable) as error:
            refusal, status = problems.translate(error)
            problems.record(refusal, status, by=self.principal, about=self.about, changes=True)
            problem = {"code": refusal.code, "detail": refusal.message, "facts": dict(refusal.detail) or None}
            return {**names, "status": int(status), **problem}


class _Tools(Bulk):
    names = ("system", "name")

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        system, name = named["system"], named["name"]
        self.about = [f"tool:{system}/{name}", f"system:{system}"]
        tool = self.find(visibility.tools(self.caller), system__slug=system, name=name)
        self.permit(tool, *self.about)
        return {"state": self.act(tool, values).state}

    def act(self, tool: Tool, values: dict[str, Any]) -> Tool:
        raise NotImplementedError


class ApproveTools(_Tools):
    """Approve tools: pin the definitions that were read, and serve them. Each on its own, with its result.

    A tool with a flow label that is neither yes nor no is refused (`tool_flows_undecided`): say all three, or approve
    it alone.
    """

    asked = ToolsApprovalInputSerializer

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Approve them."""
        return self.each(self.body(ToolsApprovalInputSerializer)["items"])

    def act(self, tool: Tool, values: dict[str, Any]) -> Tool:
        """Approve one."""
        return approve(tool, **tools.approval_of(tool, values), by=self.caller, among_others=True)


class DisableTools(_Tools):
    """Disable tools until they are enabled: each on its own, with its result."""

    asked = ToolsStopInputSerializer

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Disable them."""
        return self.each(**self.body(ToolsStopInputSerializer))

    def act(self, tool: Tool, values: dict[str, Any]) -> Tool:
        """Disable one."""
        return tools_actions.disable_tool(tool, by=self.principal, reason=values["reason"])


class NamedGrant(InputSerializer):
    """A grant, by its id."""

    id = serializers.UUIDField()


class GrantsStopInputSerializer(InputSerializer):
    """Grants to end, and why."""

    items = serializers.ListField(child=NamedGrant(), min_length=1, max_length=MOST)
    reason = Text(max_length=500)


class GrantResultSerializer(Outcome):
    """What became of one grant: 200 with its new state, or a problem's status, code and sentence."""

    id = serializers.UUIDField()


class GrantResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = GrantResultSerializer(many=True)


class RevokeGrants(Bulk):
    """Revoke grants at once: each on its own, with its result."""

    asked, shown, names = GrantsStopInputSerializer, GrantResultsSerializer, ("id",)

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Revoke them."""
        return self.each(**self.body(GrantsStopInputSerializer))

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Revoke one."""
        self.about = [f"grant:{named['id']}"]
        grant = self.find(visibility.grants(self.caller), pk=named["id"])
        self.permit(grant, *grants.about(grant))
        return {"state": grants.revoke(grant.pk, by=self.principal, reason=values["reason"]).state}


class NamedAgent(InputSerializer):
    """An agent, by its slug."""

    slug = Text(max_length=64)


class AgentsStopInputSerializer(InputSerializer):
    """Agents to stop, and why."""

    items = serializers.ListField(child=NamedAgent(), min_length=1, max_length=MOST)
    reason = Text(max_length=500)


class AgentResultSerializer(Outcome):
    """What became of one agent: 200 with its new state, or a problem's status, code and sentence."""

    slug = serializers.CharField()


class AgentResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = AgentResultSerializer(many=True)


class _Agents(Bulk):
    asked, shown, names = AgentsStopInputSerializer, AgentResultsSerializer, ("slug",)

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Suspend or retire each agent."""
        return self.each(**self.body(AgentsStopInputSerializer))

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        self.about = [f"agent:{named['slug']}"]
        agent = self.find(visibility.agents(self.caller), slug=named["slug"])
        self.permit(agent, *self.about)
        return {"state": self.act(agent, values["reason"]).status}

    def act(self, agent: Agent, reason: str) -> Agent:
        raise NotImplementedError


class SuspendAgents(_Agents):
    """Suspend agents at once: each on its own, with its result."""

    def act(self, agent: Agent, reason: str) -> Agent:
        """Suspend one."""
        return agents.suspend(agent, by=self.principal, reason=reason)


class RetireAgents(_Agents):
    """Retire agents for good, with all that they hold: each on its own, with its result."""

    def act(self, agent: Agent, reason: str) -> Agent:
        """Retire one."""
        return agents.retire(agent, by=self.principal, reason=reason)
