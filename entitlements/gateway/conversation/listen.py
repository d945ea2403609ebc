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

import msgspec

from entitlements import addresses
from entitlements.codes import Code
from entitlements.gateway import answers, possession
from entitlements.gateway.conversation import server_messages, stream
from entitlements.gateway.conversation.system_changes import SystemChanges
from entitlements.gateway.exchange import Exchange, may_see
from entitlements.gateway.http import encode
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.primitives import everywhere
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused
from entitlements.node.streams import OpenRequest, ToolList
from entitlements.upstream import sse

HEARD_SECONDS: Final = 2.0
"""How long a client waits for its acknowledgement until the systems are listened to."""
MOST_RESOURCES: Final = 100
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
MOST_SYSTEMS: Final = 20
"""Whose resources one stream listens to, at the address of all systems."""
_ID: Final = "io.modelcontextprotocol/subscriptionId"
_LISTS: Final = {f"{kind}ListChanged": kind for kind in ("tools", "resources", "prompts")}


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
        node.opened.remove(opened)
        await listening.end()


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
    """One stream of a modern client. `systems` are those that it hears, by their names."""

    exchange: Exchange
    wanted: dict[str, Any]
    tag: dict[str, Any] = field(init=False)
    systems: dict[str, SystemChanges] = field(default_factory=dict)
    _is_acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    _following: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        """Know what each message is tagged with."""
        self.tag = {_ID: msgspec.json.decode(self.exchange.call.request_id)}

    async def choose(self) -> None:
        """Leave out the resources that this caller may not read, and know the system of each other. Raises Closed."""
        exchange, uris = self.exchange, self.wanted.pop("resourceSubscriptions", [])
        if exchange.entry.slug != addresses.ALL and self.wanted:
            self._changes_of(exchange.entry)
        readable = []
        for uri in uris:
            entry = await self._system_of(uri)
            if entry is None or not await server_messages.may_read(exchange.node, exchange.bearer, entry, {"uri": uri}):
                continue
            if len(self.systems) < MOST_SYSTEMS or entry.slug in self.systems:
                self._changes_of(entry).uris.append(uri)
                readable.append(uri)
        if readable:
            self.wanted["resourceSubscriptions"] = readable

    async def begin(self) -> None:
        """Listen to the systems before the client is told so: what it does then, one of them may answer at once."""
        self._following = asyncio.create_task(self._follow())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD_SECONDS):
                for each in self.systems.values():
                    await each.ready.wait()

    async def until_over(self) -> None:
        """Wait until there is nothing to listen to any more."""
        if self._following is not None:
            await self._following

    async def acknowledge(self) -> None:
        """Say first what is listened to."""
        await self._send(ACKNOWLEDGED, {"notifications": self.wanted})
        self._is_acknowledged.set()

    def changed(self, kind: str) -> bytes:
        """Write that a list has changed, if that is wanted."""
        if f"{kind}ListChanged" not in self.wanted:
            return b""
        return self._written(f"notifications/{kind}/list_changed", {})

    async def end(self) -> None:
        """Listen no more, and end what upstreams hold for this stream alone."""
        if self._following is not None:
            self._following.cancel()
        for each in self.systems.values():
            await each.close()

    async def _follow(self) -> None:
        """Listen to the systems, each in its era. Raises SecretInAnswer."""
        try:
            async with asyncio.TaskGroup() as group:
                for each in self.systems.values():
                    group.create_task(each.follow())
        except* leaks.SecretInAnswer as found:
            raise found.exceptions[0] from None

    async def _say(self, method: str, params: Mapping[str, Any]) -> None:
        """Hand on what a system says, once the client knows what it listens to."""
        await self._is_acknowledged.wait()
        await self._send(method, params)

    async def _send(self, method: str, params: Mapping[str, Any]) -> None:
        body = sse.event(self._written(method, params))
        await self.exchange.request.send({"type": "http.response.body", "body": body, "more_body": True})

    def _changes_of(self, entry: ServedSystem) -> SystemChanges:
        lists = [name for name in _LISTS if name in self.wanted]
        return self.systems.setdefault(entry.slug, SystemChanges(self.exchange, entry, lists, self._say))

    async def _system_of(self, uri: str) -> ServedSystem | None:
        """Return the one system that a resource is of, for this caller."""
        exchange = self.exchange
        if exchange.entry.slug != addresses.ALL:
            return exchange.entry
        found = [entry async for entry in everywhere.reading(exchange, "resources/read", {"uri": uri})]
        return found[0] if len(found) == 1 else None

    def _written(self, method: str, params: Mapping[str, Any]) -> bytes:
        return encode({"jsonrpc": "2.0", "method": method, "params": {**params, "_meta": self.tag}})
