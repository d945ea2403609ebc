"""Several tools at once: each approved or disabled for itself, with what became of it (207, RFC 4918)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import catalog, classing
from entitlements.errors import DomainError
from entitlements.models import Tool

from . import problems, visibility
from .endpoints import Endpoint
from .fields import Shown, Strict, Text
from .tools import ApprovalAsked

MOST: Final = 200


class NamedTool(Strict):
    """A tool, by its system and its name."""

    system = Text(max_length=64)
    name = Text(max_length=128)


class ToolApprovalAsked(ApprovalAsked, NamedTool):
    """One tool, and what a person read and says about it."""


class ToolsApprovalAsked(Strict):
    """Tools to approve."""

    items = serializers.ListField(child=ToolApprovalAsked(), min_length=1, max_length=MOST)


class ToolsStopAsked(Strict):
    """Tools to disable, and why."""

    items = serializers.ListField(child=NamedTool(), min_length=1, max_length=MOST)
    reason = Text(max_length=500)


class ResultShown(Shown):
    """What became of one tool: 200 with its new state, or a problem's status, code and sentence."""

    system = serializers.CharField()
    name = serializers.CharField()
    status = serializers.IntegerField()
    state = serializers.CharField(allow_null=True, default=None)
    code = serializers.CharField(allow_null=True, default=None)
    detail = serializers.CharField(allow_null=True, default=None)


class ResultsShown(Shown):
    """What became of each, in the order in which they were named."""

    results = ResultShown(many=True)


class _Bulk(Endpoint):
    shown: ClassVar[type[Shown]] = ResultsShown
    answers = HTTPStatus.MULTI_STATUS
    durable = True

    def each(self, named: list[dict[str, Any]], act: Callable[[Tool, dict[str, Any]], Tool]) -> Response:
        """Do it to each for itself: one that is refused is recorded, and does not hold up the others."""
        self._permitted = True  # each is asked for below, and none that was not is touched
        results = [self._one(item.pop("system"), item.pop("name"), item, act) for item in named]
        return Response(ResultsShown({"results": results}).data, status=HTTPStatus.MULTI_STATUS)

    def _one(
        self, system: str, name: str, said: dict[str, Any], act: Callable[[Tool, dict[str, Any]], Tool]
    ) -> dict[str, Any]:
        told: dict[str, Any] = {"system": system, "name": name}
        links = [f"tool:{system}/{name}", f"system:{system}"]
        try:
            with transaction.atomic():
                tool = self.find(visibility.tools(self.caller), system__slug=system, name=name)
                self.permit(tool, *links)
                done = act(tool, said)
        except DomainError as refusal:
            problems.record(refusal, refusal.status, by=self.principal, about=self.about, changes=True)
            return {**told, "status": int(refusal.status), "code": refusal.code, "detail": refusal.message}
        return {**told, "status": int(HTTPStatus.OK), "state": done.state}


class ApproveTools(_Bulk):
    """Pin the definitions that were read, and let them be served: each for itself, with what became of it."""

    asked = ToolsApprovalAsked

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Approve them."""
        return self.each(self.body(ToolsApprovalAsked)["items"], self._approve)

    def _approve(self, tool: Tool, said: dict[str, Any]) -> Tool:
        reason = said.pop("reason")
        flows: dict[str, bool | None] = {flow: said.pop(flow) for flow in classing.FLOWS if flow in said}
        return catalog.approve_tool(catalog.Approval(tool, **said, flows=flows), by=self.principal, reason=reason)


class DisableTools(_Bulk):
    """Stop tools until they are enabled: each for itself, with what became of it."""

    asked = ToolsStopAsked

    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Disable them."""
        asked = self.body(ToolsStopAsked)
        by, reason = self.principal, asked["reason"]
        return self.each(asked["items"], lambda tool, _: catalog.disable_tool(tool, by=by, reason=reason))
