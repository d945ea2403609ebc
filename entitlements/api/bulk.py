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
from entitlements.agents import actions as agents
from entitlements.catalog import actions as catalog
from entitlements.catalog.api import tools
from entitlements.catalog.models import Tool
from entitlements.definitions.primitives import LONGEST_NAME
from entitlements.errors import DomainError
from entitlements.grants import actions as grants

from . import problems
from .actions import Action
from .endpoints import Endpoint
from .fields import InputSerializer, OutputSerializer, StopInputSerializer, Text

MOST: Final = 200


class NamedTool(InputSerializer):
    """A tool, by its system and its name."""

    system = Text(max_length=64)
    name = Text(max_length=LONGEST_NAME)


class ToolApprovalInputSerializer(tools.ApprovalInputSerializer, NamedTool):
    """One tool and a person's approval of it."""


class ToolsApprovalInputSerializer(InputSerializer):
    """Tools to approve."""

    items = serializers.ListField(child=ToolApprovalInputSerializer(), min_length=1, max_length=MOST)


class ToolsStopInputSerializer(StopInputSerializer):
    """Tools to disable, why, and the ticket of it."""

    items = serializers.ListField(child=NamedTool(), min_length=1, max_length=MOST)


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
    """Does an action to each item of a list, in a transaction of its own."""

    action: ClassVar[Action]
    asked: ClassVar[type[InputSerializer]]
    shown: ClassVar[type[OutputSerializer]] = ResultsSerializer
    names: ClassVar[tuple[str, ...]]
    links: ClassVar[tuple[str, ...]] = ()
    """What the audit log names of an item that is not found, written with its names."""
    state: ClassVar[str] = "state"
    answers = HTTPStatus.MULTI_STATUS
    durable = True

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Do it to each item."""
        return self.each(**self.body(type(self).asked))

    def act_on(self, names: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Find one thing by its names, check the right to it, and act; return the fields of the answer."""
        self.about = [link.format(**names) for link in self.links]
        subject = self.action.subject
        row = self.find(subject.rows(self.caller), **subject.key(*names.values()))
        self.permit(subject.permitted_on(row), *subject.about(row))
        result = self.action.perform(row, self.caller, self.values_of(row, values)).result
        return {"state": getattr(result, self.state)}

    def values_of(self, row: Any, values: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401, ARG002 - a row
        """Return the values for one row, as the action takes them."""
        return values

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
    links = ("tool:{system}/{name}", "system:{system}")


class ApproveTools(_Tools):
    """Approve several tools.

    Each definition that was read is pinned and served. Each tool is approved on its own, with its own result.

    A tool with a flow label that is neither yes nor no is refused (`tool_flows_undecided`): set all three, or approve
    it alone.
    """

    action = catalog.APPROVE_TOOL
    asked = ToolsApprovalInputSerializer

    def values_of(self, row: Tool, values: dict[str, Any]) -> dict[str, Any]:
        """Return the approval of one tool."""
        return {**tools.approval_of(row, values), "among_others": True}


class DisableTools(_Tools):
    """Disable several tools. Each is disabled on its own, with its own result, until it is enabled again."""

    action = catalog.DISABLE_TOOL
    asked = ToolsStopInputSerializer


class NamedGrant(InputSerializer):
    """A grant, by its id."""

    id = serializers.UUIDField()


class GrantsStopInputSerializer(StopInputSerializer):
    """Grants to end, why, and the ticket of it."""

    items = serializers.ListField(child=NamedGrant(), min_length=1, max_length=MOST)


class GrantResultSerializer(Outcome):
    """What became of one grant: 200 with its new state, or a problem's status, code and sentence."""

    id = serializers.UUIDField()


class GrantResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = GrantResultSerializer(many=True)


class RevokeGrants(Bulk):
    """Revoke several grants at once. Each is revoked on its own, with its own result."""

    action = grants.REVOKE
    asked, shown, names = GrantsStopInputSerializer, GrantResultsSerializer, ("id",)
    links = ("grant:{id}",)


class NamedAgent(InputSerializer):
    """An agent, by its slug."""

    slug = Text(max_length=64)


class AgentsStopInputSerializer(StopInputSerializer):
    """Agents to stop, why, and the ticket of it."""

    items = serializers.ListField(child=NamedAgent(), min_length=1, max_length=MOST)


class AgentResultSerializer(Outcome):
    """What became of one agent: 200 with its new state, or a problem's status, code and sentence."""

    slug = serializers.CharField()


class AgentResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = AgentResultSerializer(many=True)


class _Agents(Bulk):
    asked, shown, names = AgentsStopInputSerializer, AgentResultsSerializer, ("slug",)
    links = ("agent:{slug}",)
    state = "status"


class SuspendAgents(_Agents):
    """Suspend several agents at once. Each is suspended on its own, with its own result."""

    action = agents.SUSPEND


class RetireAgents(_Agents):
    """Retire several agents for good. Each is retired with all that it holds, on its own, with its own result."""

    action = agents.RETIRE
