"""Requests for a resource, a prompt or a completion: decided, recorded and forwarded in the life of a tool call."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from entitlements import addresses
from entitlements.codes import INVALID_PARAMS, Code
from entitlements.decisions.verdicts import Verdict
from entitlements.definitions import primitives
from entitlements.definitions.primitives import Primitive
from entitlements.gateway import answers, doors
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.conversation import ways
from entitlements.gateway.conversation.responder import responder_of
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import Answer, encode
from entitlements.gateway.primitives import everywhere, names

RESOURCE_NOT_FOUND: Final = -32002
"""What MCP says until 2025-11-25; from then on a resource that is not there is an invalid param."""
_KINDS: Final = {Primitive.PROMPT: "prompt", Primitive.TOOL: "tool"}


async def call(exchange: Exchange) -> None:
    """Carry a request through. Raises Refused and Closed while nothing has been answered."""
    entry, asked = exchange.entry, exchange.call
    if entry.slug == addresses.ALL:
        entry, asked = await everywhere.called(exchange)
        exchange.about.system = entry.slug
    name, arguments = names.called(entry, asked.method, asked.params)
    exchange.about.tool = name
    responder = responder_of(exchange, entry.slug, name, arguments, asked)
    door = Door(entry, exchange.bearer, asked, exchange.entry.slug, responder, name)
    way = ways.forwarding(exchange, entry, asked, responder)
    session = None if exchange.session is None else exchange.session.id
    await ToolCall(
        exchange.node, entry, exchange.bearer, exchange.request, exchange.about, arguments, door, way, session
    ).run()  # fmt: skip


class Door(doors.McpDoor):
    """A client that asks for a resource, a prompt or a completion, of which none has a result that is an error."""

    def denied(self, verdict: Verdict, evaluation: str, kept: str) -> Answer:
        """Say what is not there in the words of the client's era; else answer as a call of a tool is."""
        if verdict.code is not Code.UNKNOWN_TOOL:
            return super().denied(verdict, evaluation, kept)
        data: dict[str, Any] = answers.explanation(
            self.entry.slug, self.bearer.agent, self.tool, verdict, evaluation, kept=kept
        )
        kind = primitives.of_name(self.tool)
        is_resource = kind in (Primitive.RESOURCE, Primitive.TEMPLATE)
        if is_resource and "uri" in self.call.params:
            data["uri"] = self.call.params["uri"]
        named = "resource" if is_resource else _KINDS[kind]
        data["reason"] = message = f"The system has no such {named}."
        code = RESOURCE_NOT_FOUND if is_resource and not self.call.is_modern else INVALID_PARAMS
        body = encode({"code": code, "message": message, "data": data})
        status = HTTPStatus.BAD_REQUEST if self.call.is_modern else HTTPStatus.OK
        return Answer(status, answers.error(self.request_id, body))
