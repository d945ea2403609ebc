"""The doors /gw/<system>/mcp and /gw/mcp: MCP over HTTP, of 2026-07-28 (stateless) and of 2025-11-25 (sessions).

Whatever method is not answered here is refused: a method that we do not know is one that we do not govern (COAZ).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from entitlements import addresses
from entitlements.codes import Code
from entitlements.definitions.primitives import Primitive
from entitlements.gateway import (
    all_systems,
    answers,
    decoy_calls,
    doors,
    messages,
    possession,
    relay,
)
from entitlements.gateway.access_requests import request_access
from entitlements.gateway.call_tasks import calls as task_calls
from entitlements.gateway.call_tasks import lists as task_lists
from entitlements.gateway.call_tasks import negotiation
from entitlements.gateway.call_tasks.results import Creation
from entitlements.gateway.conversation import client_sessions, greetings, listen, log_level, replies, stream, ways
from entitlements.gateway.conversation.responder import responder_of
from entitlements.gateway.dispatch import Forwarding
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.http import JSON, NO_STORE, Answer, Request, Stream, encode
from entitlements.gateway.messages import Call
from entitlements.gateway.primitives import calls as primitive_calls
from entitlements.gateway.primitives import lists
from entitlements.gateway.rest import results
from entitlements.gateway.rest.dispatch import RestAnswer, RestForwarding
from entitlements.gateway.traces import gateway_spans
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.upstream import mcp_headers

_ACCEPTED: Final = Answer(HTTPStatus.ACCEPTED, b"", ())
_EMPTY_OK: Final = Answer(HTTPStatus.OK, b"", ())

type Handler = Callable[[Exchange], Awaitable[None]]


async def serve(node: Node, request: Request, slug: str) -> None:
    """Answer one request at the MCP address of a system, or of all. Raises Refused and Closed for `app` to answer."""
    doors.check_origin(request)
    if request.method not in ("POST", "GET", "DELETE"):
        await request.answer(answers.not_allowed())
        return
    node.check_open()
    request.check_single()
    if possession.HEADER in request.headers:
        possession.answer_with_nonce(node, request)
    bearer = await node.bearers.check(request.headers.get(b"authorization"), slug, answers.resource(slug))
    if bearer.jkt:
        needs_digest = settings.DPOP_REQUIRED == "all"
        await possession.check(node, request, bearer, answers.resource(slug), needs_digest=needs_digest)
    entry = await all_systems.entry(node, slug)
    if entry is None:
        raise Refused(Code.SYSTEM_UNKNOWN)
    await {"POST": _post, "GET": stream.keep, "DELETE": _delete}[request.method](node, request, entry, bearer)


async def _post(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    call = messages.read(await request.body(), request.header("content-type"))
    exchange = Exchange(node, request, entry, bearer, call)
    with gateway_spans.message_span(exchange.about, call, _METHODS):
        try:
            if request.proof is not None and call.method != "tools/call":  # which claims it with its event
                await possession.claim(node, request)
            await _dispatch(exchange)
        except Closed as why:
            await request.answer(answers.refused(why, call.request_id, evaluation=exchange.about.evaluation))
        except Refused as why:
            event = records.refusal(exchange.about, why.code, why.message)
            await node.recorder.durably(event, possession.take(request))
            evaluation = exchange.about.evaluation
            await request.answer(answers.refused(why, call.request_id, slug=entry.slug, evaluation=evaluation))


async def _dispatch(exchange: Exchange) -> None:
    call = exchange.call
    if not exchange.is_modern:
        messages.check_legacy(exchange.request)
        await _check_session(exchange)
    if not call.method:
        await replies.take(exchange)
        await exchange.request.answer(_ACCEPTED)
        return
    if call.id is None:
        await _take_notification(exchange)
        await exchange.request.answer(_ACCEPTED)
        return
    if exchange.is_modern:
        messages.check_modern(call, exchange.request)
    handler = (_MODERN if exchange.is_modern else _LEGACY).get(call.method)
    if handler is None:
        raise Refused(Code.UNKNOWN_METHOD, data={"method": call.method})
    await handler(exchange)


async def _check_session(exchange: Exchange) -> None:
    """Find the legacy client's session: 400 without one, 404 when it is over or another's (GW-16)."""
    name = exchange.request.header(mcp_headers.SESSION)
    if exchange.call.method == "initialize":
        return
    if name is None:
        raise stream.session_missing()
    exchange.session = await client_sessions.find(exchange.node, name, exchange.bearer, exchange.entry.slug)


async def _take_notification(exchange: Exchange) -> None:
    """Take a notification: a legacy client's wish to cancel its own call, and what its upstream is to hear."""
    call = exchange.call
    if call.method in replies.PASSED:
        await replies.pass_on(exchange)
    if call.method != "notifications/cancelled" or exchange.session is None:
        return
    request_id = call.params.get("requestId")
    if isinstance(request_id, str | int) and not isinstance(request_id, bool):
        await exchange.node.cancel(exchange.session.id, encode(request_id))


async def _call_tool(exchange: Exchange) -> None:
    is_ours = exchange.call.params.get("name") == request_access.NAME
    if is_ours and request_access.is_visible(exchange.bearer, exchange.entry.tools):
        await _request_access(exchange)
        return
    entry, call = exchange.entry, exchange.call
    if entry.slug == addresses.ALL:
        entry, call = await all_systems.called(exchange.node, call)
        exchange.about.system = entry.slug
    arguments = relay.arguments_of(call)
    name = call.params["name"]
    exchange.about.tool = f"tools/{name}" if "/" in name else name  # no tool, as which no resource or prompt is called
    pinned = entry.tools.get(exchange.about.tool)
    door = partial(doors.McpDoor, entry, exchange.bearer, call, exchange.entry.slug, tool=exchange.about.tool)
    answered = door(responder_of(exchange, entry.slug, exchange.about.tool, arguments, call))
    if pinned is None and await decoy_calls.answer(
        exchange.node, exchange.request, exchange.about, entry, call, answered
    ):
        return
    messages.check_params(call, exchange.request, pinned.mirrored if pinned else {})
    forwarding = partial(_forwarding, exchange, entry, call, arguments)
    await ways.carry_out(exchange, entry, call, arguments, (door, forwarding))


def _forwarding(
    exchange: Exchange, entry: ServedSystem, call: Call, arguments: dict[str, Any], responder: Stream
) -> Forwarding:
    node, about = exchange.node, exchange.about
    if entry.operations is None:
        call = negotiation.agreed(call, entry, about.tool, arguments)
        way = ways.forwarding(exchange, entry, call, responder)
        way.results = Creation(exchange, entry, call, arguments)
        return way

    async def deliver(answer: RestAnswer) -> None:
        body = answers.result(call.request_id, results.result(answer, entry.slug, about.evaluation))
        await responder.finish(Answer(HTTPStatus.OK, body, (JSON, NO_STORE)))

    return RestForwarding(node, entry, about.tool, arguments, about.traced.onward, deliver)


async def _request_access(exchange: Exchange) -> None:
    """Answer our own tool, to whom may see the system, with or without a grant there."""
    arguments = relay.arguments_of(exchange.call)
    await possession.claim(exchange.node, exchange.request)
    exchange.about.tool = request_access.NAME
    messages.check_params(exchange.call, exchange.request, {})
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not may_see(verdict):
        exchange.node.count(verdict)
        await exchange.deny(verdict)
        return
    about, bearer, systems = exchange.about, exchange.bearer, [exchange.entry.slug]
    await exchange.answer(await request_access.call(exchange.node.recorder, about, bearer, systems, arguments))


_MODERN: Final[dict[str, Handler]] = {
    "server/discover": greetings.discover,
    "subscriptions/listen": listen.serve,
    "tools/list": lists.of(Primitive.TOOL),
    "resources/list": lists.of(Primitive.RESOURCE),
    "resources/templates/list": lists.of(Primitive.TEMPLATE),
    "prompts/list": lists.of(Primitive.PROMPT),
    "tools/call": _call_tool,
    "resources/read": primitive_calls.call,
    "prompts/get": primitive_calls.call,
    "completion/complete": primitive_calls.call,
    "tasks/get": task_calls.call,
    "tasks/update": task_calls.call,
    "tasks/cancel": task_calls.call,
}
_LEGACY: Final[dict[str, Handler]] = {
    "initialize": greetings.initialize,
    "logging/setLevel": log_level.choose,
    "ping": greetings.ping,
    "resources/subscribe": primitive_calls.call,
    "resources/unsubscribe": primitive_calls.call,
    "tools/list": lists.of(Primitive.TOOL),
    "resources/list": lists.of(Primitive.RESOURCE),
    "resources/templates/list": lists.of(Primitive.TEMPLATE),
    "prompts/list": lists.of(Primitive.PROMPT),
    "tools/call": _call_tool,
    "resources/read": primitive_calls.call,
    "prompts/get": primitive_calls.call,
    "completion/complete": primitive_calls.call,
    "tasks/get": task_calls.call,
    "tasks/result": task_calls.call,
    "tasks/cancel": task_calls.call,
    "tasks/list": task_lists.answer,
}
_METHODS: Final = frozenset({*_MODERN, *_LEGACY})


async def _delete(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    await possession.claim(node, request)
    name = request.header(mcp_headers.SESSION)
    if name is None:
        await request.answer(answers.not_allowed())
        return
    await client_sessions.end(node, await client_sessions.find(node, name, bearer, entry.slug))
    await request.answer(_EMPTY_OK)
