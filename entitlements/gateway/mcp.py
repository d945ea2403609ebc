"""The doors /gw/<system>/mcp and /gw/mcp: MCP over HTTP, of 2026-07-28 (stateless) and of 2025-11-25 (sessions).

Whatever method is not answered here is refused: a method that we do not know is one that we do not govern (COAZ).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from entitlements import addresses
from entitlements.codes import Code
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.gateway import (
    all_systems,
    answers,
    client_sessions,
    doors,
    messages,
    possession,
    relay,
    tool_list,
)
from entitlements.gateway.access_requests import request_access
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.client_sessions import ClientSession
from entitlements.gateway.decoys import calls as decoys
from entitlements.gateway.dispatch import Forwarding, McpForwarding
from entitlements.gateway.http import JSON, NO_STORE, Answer, Request, encode
from entitlements.gateway.messages import Call
from entitlements.gateway.rest import results
from entitlements.gateway.rest.dispatch import RestAnswer, RestForwarding
from entitlements.gateway.traces import gateway_spans
from entitlements.gateway.traces.shown_lists import SHOWN
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused
from entitlements.node.streams import OpenRequest, ToolList
from entitlements.traces import call_trace
from entitlements.upstream import mcp_headers, sse, upstream

LIST_SECONDS: Final = 5
KEEP_ALIVE_SECONDS: Final = 10.0
EMA: Final = "io.modelcontextprotocol/enterprise-managed-authorization"
_CAPABILITIES: Final = {"tools": {"listChanged": False}, "extensions": {EMA: {}}}
_LEGACY_CAPABILITIES: Final = {**_CAPABILITIES, "tools": {"listChanged": True}}
"""A session has a stream that says so; what a stateless client would listen to is not there."""
_LIST_CHANGED: Final = sse.event(b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
_ACCEPTED: Final = Answer(HTTPStatus.ACCEPTED, b"", ())
_EMPTY_OK: Final = Answer(HTTPStatus.OK, b"", ())
_POST_ONLY: Final = (b"allow", b"POST")
_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]

type Handler = Callable[[Exchange], Awaitable[None]]


async def serve(node: Node, request: Request, slug: str) -> None:
    """Answer one request at the MCP address of a system, or of all. Raises Refused and Closed for `app` to answer."""
    doors.check_origin(request)
    if request.method not in ("POST", "GET", "DELETE"):
        await request.answer(_not_allowed())
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
    await {"POST": _post, "GET": _get, "DELETE": _delete}[request.method](node, request, entry, bearer)


class Exchange:
    """One message of a caller we know, and everything an answer needs."""

    def __init__(self, node: Node, request: Request, entry: ServedSystem, bearer: Bearer, call: Call) -> None:
        self.node, self.request, self.entry, self.bearer, self.call = node, request, entry, bearer, call
        self.session: ClientSession | None = None
        self.is_modern = messages.is_modern(call, request)
        traced = call_trace.begin(call.meta, request.raw, bearer.trace)
        request_id = request.headers.get(b"x-request-id", b"").decode("latin-1")[:128]
        self.about = CallDetails(
            bearer, entry.slug, call.method, request_id=request_id, source=request.source, traced=traced
        )

    @property
    def policy_call(self) -> PolicyCall:
        """The question behind everything but a call: whether this caller may see the system."""
        bearer = self.bearer
        return bearer.asks(self.entry.slug)

    async def answer(self, value: dict[str, Any], *headers: tuple[bytes, bytes]) -> None:
        """Send a result; of the modern era's members a legacy client gets none."""
        if self.is_modern:
            value = {"resultType": "complete", **value}
        await self.send(encode(value), *headers)

    async def send(self, result: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Send a result that is JSON already."""
        body = answers.result(self.call.request_id, result)
        await self.request.answer(Answer(HTTPStatus.OK, body, (JSON, NO_STORE, *headers)))

    async def deny(self, verdict: Verdict) -> None:
        """Record a denial of something else than a call to an upstream, and send it."""
        await self.node.recorder.durably(records.decision(self.about, verdict, {}))
        about = self.about
        answer = answers.denied(self.entry, self.bearer, verdict, about.evaluation, self.call.request_id, about.tool)
        await self.request.answer(answer)


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
    if call.id is None or not call.method:
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
        raise _session_missing()
    exchange.session = await client_sessions.find(exchange.node, name, exchange.bearer, exchange.entry.slug)


def _session_missing() -> Refused:
    return Refused(
        Code.MALFORMED_CALL, "The header mcp-session-id is missing.", jsonrpc=messages.INVALID_REQUEST
    )  # fmt: skip


async def _take_notification(exchange: Exchange) -> None:
    """Take a notification: only a legacy client's wish to cancel its own call means anything to us."""
    call = exchange.call
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
    session = None if exchange.session is None else exchange.session.id
    arguments = relay.arguments_of(call)
    exchange.about.tool = name = call.params["name"]
    pinned = entry.tools.get(name)
    responder = relay.Responder(exchange.request.send)
    door = doors.McpDoor(entry, exchange.bearer, call, exchange.entry.slug, responder)
    if pinned is None and await decoys.answer(exchange.node, exchange.request, exchange.about, entry, call, door):
        return
    messages.check_params(call, exchange.request, pinned.mirrored if pinned else {})
    way = _forwarding(exchange, entry, call, arguments, responder)
    await ToolCall(
        exchange.node, entry, exchange.bearer, exchange.request, exchange.about, arguments, door, way, session
    ).run()  # fmt: skip


def _forwarding(
    exchange: Exchange, entry: ServedSystem, call: Call, arguments: dict[str, Any], responder: relay.Responder
) -> Forwarding:
    node, about = exchange.node, exchange.about
    if entry.operations is None:
        return McpForwarding(node, entry, exchange.bearer, exchange.request, call, about.traced.onward, responder)

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
    if not _may_see(verdict):
        exchange.node.count(verdict)
        await exchange.deny(verdict)
        return
    about, bearer, systems = exchange.about, exchange.bearer, [exchange.entry.slug]
    await exchange.answer(await request_access.call(exchange.node.recorder, about, bearer, systems, arguments))


async def _list_tools(exchange: Exchange) -> None:
    """Show the approved definitions of the tools that this caller could call, and nothing of what the upstream says.

    Where there are none, a caller that acts for a person is offered to request access.
    """
    if "cursor" in exchange.call.params:
        raise Refused(Code.MALFORMED_CALL, "There is no such cursor.")
    verdict, held = await exchange.node.admits(exchange.policy_call)
    if not _may_see(verdict):
        await exchange.deny(verdict)
        return
    assert held is not None  # noqa: S101 - for the type checker: a caller without facts may see nothing
    if exchange.entry.slug == addresses.ALL:
        definitions = await tool_list.at_all_systems(exchange.node, exchange.policy_call)
    else:
        definitions = await tool_list.at_system(exchange.node, exchange.entry, exchange.policy_call, held.facts)
    if not definitions and request_access.is_visible(exchange.bearer, exchange.entry.tools):
        definitions = {request_access.NAME: request_access.DEFINITION}
    SHOWN.note(exchange.node.recorder, exchange.about, definitions)
    listed = b'{"tools":[' + b",".join(definitions.values()) + b"]"
    if exchange.is_modern:
        listed += b',"resultType":"complete","cacheScope":"private","ttlMs":%d' % (LIST_SECONDS * 1000)
    await exchange.send(listed + b"}")


async def _discover(exchange: Exchange) -> None:
    verdict, _ = await exchange.node.admits(exchange.policy_call)
    if not _may_see(verdict):
        await exchange.deny(verdict)
        return
    await exchange.answer(
        {
            "supportedVersions": list(messages.SUPPORTED),
            "capabilities": _CAPABILITIES,
            "cacheScope": "private",
            "ttlMs": LIST_SECONDS * 1000,
            "_meta": {"io.modelcontextprotocol/serverInfo": _identity(exchange.entry)},
        }
    )


async def _initialize(exchange: Exchange) -> None:
    verdict, held = await exchange.node.admits(exchange.policy_call)
    if not _may_see(verdict):
        await exchange.deny(verdict)
        return
    assert held is not None  # noqa: S101 - for the type checker: a caller without facts may see nothing
    requested_version = exchange.call.params.get("protocolVersion")
    version = requested_version if requested_version in upstream.LEGACY else upstream.LEGACY[0]
    name = await client_sessions.begin(
        exchange.node, exchange.bearer, exchange.entry.slug, version, held.facts, had_grant=verdict.allowed
    )
    initialization = {
        "protocolVersion": version,
        "capabilities": _LEGACY_CAPABILITIES,
        "serverInfo": _identity(exchange.entry),
    }
    await exchange.answer(initialization, (b"mcp-session-id", name.encode()))


async def _ping(exchange: Exchange) -> None:
    await exchange.answer({})


def _may_see(verdict: Verdict) -> bool:
    return verdict.allowed or (verdict.effect is Effect.DENY and verdict.code is Code.NO_GRANT)


def _identity(entry: ServedSystem) -> dict[str, str]:
    return {"name": f"mandate/{entry.slug}", "title": entry.name, "version": "1"}


_MODERN: Final[dict[str, Handler]] = {
    "server/discover": _discover,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}
_LEGACY: Final[dict[str, Handler]] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}
_METHODS: Final = frozenset({*_MODERN, *_LEGACY})


async def _delete(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    await possession.claim(node, request)
    name = request.header(mcp_headers.SESSION)
    if name is None:
        await request.answer(_not_allowed())
        return
    await client_sessions.end(node, await client_sessions.find(node, name, bearer, entry.slug))
    await request.answer(_EMPTY_OK)


async def _get(node: Node, request: Request, entry: ServedSystem, bearer: Bearer) -> None:
    """Hold a legacy client's stream open until it leaves, its session ends or its rights do. Nothing is resumed."""
    await possession.claim(node, request)
    name = request.header(mcp_headers.SESSION)
    if name is None:
        version = request.header(mcp_headers.VERSION)
        if version is not None and version in upstream.LEGACY:
            raise _session_missing()
        await request.answer(_not_allowed())
        return
    policy_call = bearer.asks(entry.slug)
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    session = await client_sessions.open_name(node, name, bearer, entry.slug)
    open_stream = OpenRequest(
        policy_call, task, is_call=False, session=session.id, ends_with_grants=session.had_grant, tools=ToolList()
    )
    node.opened.add(open_stream)  # from now on the feed ends it: what it says before is seen below
    try:
        await client_sessions.check(node, session)
        verdict, held = await node.admits(policy_call)
        if not _may_see(verdict):
            about = CallDetails(bearer, entry.slug, "GET", source=request.source)
            await node.recorder.durably(records.decision(about, verdict, {}))
            await request.answer(answers.denied(entry, bearer, verdict, about.evaluation, answers.NULL))
            return
        await request.send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": _STREAM})
        await node.look_at_tools(open_stream, held)
        await _keep_open(request, open_stream)
    except asyncio.CancelledError:
        if not open_stream.stop:
            raise
        task.uncancel()
        if not request.has_begun:
            raise client_sessions.unknown() from None
        await request.send({"type": "http.response.body", "body": b""})
    finally:
        node.opened.remove(open_stream)


async def _keep_open(request: Request, opened: OpenRequest) -> None:
    """Say that the list of tools has changed whenever it has, and send a comment now and then, until the client leaves.

    Changes that follow closely on each other are one notification.
    """
    assert opened.tools is not None  # noqa: S101 - for the type checker: it is a stream
    gone = asyncio.ensure_future(request.until_gone())
    try:
        while not gone.done():
            body = _LIST_CHANGED if opened.tools.take_change() else sse.KEEP_ALIVE
            await request.send({"type": "http.response.body", "body": body, "more_body": True})
            changed = asyncio.ensure_future(opened.tools.changed.wait())
            await asyncio.wait({gone, changed}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)


def _not_allowed() -> Answer:
    body = encode({"code": messages.INVALID_REQUEST, "message": "Use POST."})
    return Answer(HTTPStatus.METHOD_NOT_ALLOWED, answers.error(answers.NULL, body), (JSON, NO_STORE, _POST_ONLY))
