"""How a request of an MCP client goes to its server: with an ear for what that says beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from entitlements.gateway.calls import ToolCall
from entitlements.gateway.conversation.input_requests import InputRequests
from entitlements.gateway.conversation.responder import responder_of
from entitlements.gateway.conversation.server_messages import Beside
from entitlements.gateway.dispatch import Forwarding, McpForwarding
from entitlements.gateway.doors import Door
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import Stream
from entitlements.gateway.messages import Call
from entitlements.gateway.waiting_calls import call_retry
from entitlements.gateway.waiting_calls.call_retry import RetriedCall
from entitlements.gateway.waiting_calls.waiting_call import METHODS, Part, WaitingCall
from entitlements.node.directory import ServedSystem
from entitlements.node.shared import client_offers
from entitlements.upstream import upstream

type MakeDoor = Callable[[Stream], Door]
type MakeForwarding = Callable[[Stream], Forwarding]


async def carry_out(
    exchange: Exchange, entry: ServedSystem, call: Call, arguments: Mapping[str, Any],
    ways: tuple[MakeDoor, MakeForwarding],
) -> None:  # fmt: skip
    """Carry a request through, in by a door and out by a forwarding, or go on with the call that it is a retry of.

    Raises Refused and Closed while nothing has been answered.
    """
    stream: Stream = responder_of(exchange, entry.slug, exchange.about.tool, arguments, call)
    state = await call_retry.state_of(exchange, entry, call)
    waiting = _waiting(exchange, entry, call, stream) if state is None else None
    responder = waiting or stream
    session = None if exchange.session is None else exchange.session.id
    details = (
        exchange.node, entry, exchange.bearer, exchange.request, exchange.about, arguments,
        ways[0](responder), ways[1](responder), session,
    )  # fmt: skip
    if state is not None:
        part = Part(stream, call.request_id, call.meta.get("progressToken"))
        await RetriedCall(*details, retried=state, part=part, answers=call_retry.answers_of(call)).run()
    elif waiting is not None:
        await waiting.run(ToolCall(*details).run, exchange.request)
    else:
        await ToolCall(*details).run()


def forwarding(exchange: Exchange, entry: ServedSystem, call: Call, responder: Stream) -> McpForwarding:
    """Return the way of a request to a system's own server, over the session that its client has there."""
    waiting = responder if isinstance(responder, WaitingCall) else None
    beside = Beside(exchange.node, exchange.about, entry, exchange.session, call=waiting)
    return McpForwarding(
        exchange.node, entry, exchange.bearer, exchange.request, call, exchange.about.traced.onward, responder,
        beside=beside, offers=beside.offers, input_requests=InputRequests(beside),
    )  # fmt: skip


def _waiting(exchange: Exchange, entry: ServedSystem, call: Call, stream: Stream) -> WaitingCall | None:
    """Return what lets a call wait for its client; None for a client or a system with which no call can."""
    if not call.is_modern or call.method not in METHODS or entry.operations is not None:
        return None
    offers = client_offers.stateless(call.meta.get(upstream.META_CAPABILITIES))
    return None if offers is client_offers.NOTHING else WaitingCall(exchange, entry, call, offers, stream)
