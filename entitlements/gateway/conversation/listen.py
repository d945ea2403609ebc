"""subscriptions/listen: what a modern client wants to hear of, on a stream that is the answer (GW-15).

The first message says what of it is there. Lists change with the caller's rights here, and at the system; a resource is
listened to only while its caller may read it, which is decided for each change.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from entitlements.codes import Code
from entitlements.definition_watch.listener import LIST_CHANGED
from entitlements.gateway import answers, possession
from entitlements.gateway.conversation import replies, server_messages, stream
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.http import encode
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node.refusals import Closed, Refused
from entitlements.node.streams import OpenRequest, ToolList
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress, sse, upstream
from entitlements.upstream.endpoint import Answer as UpstreamAnswer

AGAIN_SECONDS: Final = 2.0
HEARD_SECONDS: Final = 2.0
"""How long a client waits for its acknowledgement until the system is listened to."""
MOST_RESOURCES: Final = 100
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
_ID: Final = "io.modelcontextprotocol/subscriptionId"
_LISTS: Final = {f"{kind}ListChanged": kind for kind in ("tools", "resources", "prompts")}
_FAILURES: Final = (
    aiohttp.ClientError, TimeoutError, OSError, Closed, Refused, egress.Unreachable, egress.ForbiddenAddress,
    sse.TooLarge, msgspec.MsgspecError, RecursionError, ValueError,
)  # fmt: skip


async def serve(exchange: Exchange) -> None:
    """Answer with the stream, until the client leaves or its rights end. Raises Refused, Closed before it begins."""
    node, request, policy_call = exchange.node, exchange.request, exchange.policy_call
    await possession.claim(node, request)
    wanted = _wanted(exchange.call.params.get("notifications"))
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    opened = OpenRequest(policy_call, task, is_call=False, tools=ToolList())
    node.opened.add(opened)
    listening = Listening(exchange, wanted)
    try:
        verdict, held = await node.admits(policy_call)
        if not may_see(verdict):
            await exchange.deny(verdict)
            return
        opened.ends_with_grants = verdict.allowed
        await listening.choose()
        await listening.begin()
        await request.send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": sse.HEADERS})
        await listening.acknowledge()
        await node.look_at_tools(opened, held)
        await stream.keep_open(request, opened, listening.changed, listening.until_over())
    except leaks.SecretInAnswer as why:
        node.recorder.eventually(leaks.event(exchange.about, why.owners))
        refusal = answers.refused(Refused(leaks.CODE), exchange.call.request_id, evaluation=exchange.about.evaluation)
        await request.send({"type": "http.response.body", "body": sse.event(refusal.body)})
    except asyncio.CancelledError:
        if not opened.stop:
            raise
        task.uncancel()
        if not request.has_begun:
            raise Refused(Code.CALL_WITHDRAWN) from None
        body = answers.result(exchange.call.request_id, encode({"resultType": "complete", "_meta": listening.tag}))
        await request.send({"type": "http.response.body", "body": sse.event(body)})
    finally:
        listening.end()
        node.opened.remove(opened)


def _wanted(asked: object) -> dict[str, Any]:
    """Return what a client asks for, of what there is. Raises Refused for another form."""
    if not isinstance(asked, dict):
        raise Refused(Code.MALFORMED_CALL, "A subscription names the notifications that it is for.")
    uris = asked.get("resourceSubscriptions", [])
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris) or len(uris) > MOST_RESOURCES:
        raise Refused(Code.MALFORMED_CALL, f"A subscription names at most {MOST_RESOURCES} resources, by their URIs.")
    wanted: dict[str, Any] = {name: True for name in _LISTS if asked.get(name) is True}
    return wanted | ({"resourceSubscriptions": uris} if uris else {})


@dataclass(slots=True)
class Listening:
    """One stream of a modern client."""

    exchange: Exchange
    wanted: dict[str, Any]
    tag: dict[str, Any] = field(init=False)
    _is_heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the system is listened to, or cannot be."""
    _is_acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    _following: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        """Know what each message is tagged with."""
        self.tag = {_ID: msgspec.json.decode(self.exchange.call.request_id)}

    async def choose(self) -> None:
        """Leave out the resources that this caller may not read."""
        uris = self.wanted.pop("resourceSubscriptions", [])
        if readable := [uri for uri in uris if await self._may_read(uri)]:
            self.wanted["resourceSubscriptions"] = readable

    async def begin(self) -> None:
        """Listen to the system before the client is told so: what it does then, the system may answer at once."""
        self._following = asyncio.create_task(self.follow())
        self._following.add_done_callback(lambda _: self._is_heard.set())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD_SECONDS):
                await self._is_heard.wait()

    async def until_over(self) -> None:
        """Wait until there is nothing to listen to any more."""
        if self._following is not None:
            await self._following

    def end(self) -> None:
        """Listen no more."""
        if self._following is not None:
            self._following.cancel()

    async def acknowledge(self) -> None:
        """Say first what is listened to."""
        await self._send(ACKNOWLEDGED, {"notifications": self.wanted})
        self._is_acknowledged.set()

    def changed(self, kind: str) -> bytes:
        """Write that a list has changed, if that is wanted."""
        if f"{kind}ListChanged" not in self.wanted:
            return b""
        return self._written(f"notifications/{kind}/list_changed", {})

    async def follow(self) -> None:
        """Listen to the system, where it speaks this era; what fails is tried again. Raises SecretInAnswer."""
        entry = self.exchange.entry
        if not self.wanted or entry.command is not None or entry.operations is not None or not entry.target.url:
            return
        while True:
            try:
                connection = await self._connection()
                if not connection.conversation.is_modern:
                    return
                await self._listen(connection)
            except egress.Unreachable as why:
                if "error" in why.detail:
                    return
            except _FAILURES:
                pass  # the client's own stream goes on, and its calls say what is wrong
            self._is_heard.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _connection(self) -> Connection:
        node, bearer, entry = self.exchange.node, self.exchange.bearer, self.exchange.entry
        account = await replies.account_of(node, bearer, entry)
        return await node.upstreams.get(entry, bearer, node.feed.position, account)

    async def _listen(self, connection: Connection) -> None:
        conversation, number = connection.conversation, next(connection.numbers)
        method = self.exchange.call.method
        body = conversation.body(number, method, {"notifications": self.wanted})

        async def take(answer: UpstreamAnswer) -> bool | None:
            return await upstream.first(answer, lambda text: self._take(text, connection))

        if await conversation.post(connection.http, conversation.headers(method), body, take):
            raise egress.Unreachable(error="The system has nothing to listen to.")

    async def _take(self, text: bytes, connection: Connection) -> bool | None:
        node = self.exchange.node
        marks = await node.secrets.current()
        leaks.refuse(marks.owners_in_json(text), is_over=False)
        cleaned = connection.conversation.target.authorization.removed_from(text)
        message = msgspec.json.decode(cleaned, type=dict[str, Any])
        method, params = message.get("method"), message.get("params") or {}
        if method is None:
            return "error" in message
        self._is_heard.set()
        await self._is_acknowledged.wait()
        kind = str(method).removeprefix("notifications/").removesuffix("/list_changed")
        is_wanted = method in server_messages.LISTS and f"{kind}ListChanged" in self.wanted
        if method == LIST_CHANGED:
            node.definitions.changed(self.exchange.entry.slug)
        if method == server_messages.UPDATED:
            uri = params.get("uri")
            is_wanted = uri in self.wanted.get("resourceSubscriptions", ()) and await self._may_read(uri)
        if is_wanted:
            await self._send(method, {name: value for name, value in params.items() if name != "_meta"})
        return None

    async def _may_read(self, uri: object) -> bool:
        exchange = self.exchange
        return await server_messages.may_read(exchange.node, exchange.bearer, exchange.entry, {"uri": uri})

    async def _send(self, method: str, params: Mapping[str, Any]) -> None:
        body = sse.event(self._written(method, params))
        await self.exchange.request.send({"type": "http.response.body", "body": body, "more_body": True})

    def _written(self, method: str, params: Mapping[str, Any]) -> bytes:
        return encode({"jsonrpc": "2.0", "method": method, "params": {**params, "_meta": self.tag}})
