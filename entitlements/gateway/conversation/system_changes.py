"""What one system says to a stream of a stateless client (subscriptions/listen), in whichever era the system speaks.

A system of 2026 is listened to as the client listens to us. At one of 2025 the stream has a session of its own, offers
nothing there, and is subscribed to the resources for the client; a local server is subscribed to for it alike. Both
end with the stream. Every change of a resource passes only while its caller could read it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import msgspec

from entitlements.definition_watch.listener import LIST_CHANGED
from entitlements.gateway.conversation import replies, server_messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.local_stream import LocalStream
from entitlements.gateway.conversation.upstream_stream import FAILURES, Following
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node.directory import ServedSystem
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed
from entitlements.node.upstreams import Connection
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Answer as UpstreamAnswer

AGAIN_SECONDS: Final = 2.0
_LISTEN: Final = "subscriptions/listen"

type Say = Callable[[str, Mapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class SystemChanges:
    """One system that a stream listens to: for changes of `lists`, and of the resources `uris`. `say` tells the client.

    `session` stands for the stream at a system of 2025, as a client's session does there.
    """

    exchange: Exchange
    entry: ServedSystem
    lists: list[str]
    say: Say
    uris: list[str] = field(default_factory=list)
    session: ClientSession = field(init=False)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the system is listened to, or cannot be."""

    def __post_init__(self) -> None:
        """Begin a session in name."""
        bearer, now = self.exchange.bearer, self.exchange.node.now()
        self.session = ClientSession(
            uuid4(), self.entry.slug, bearer.agent, bearer.person, bearer.client, bearer.session, upstream.LEGACY[0],
            now, now, had_grant=True,
        )  # fmt: skip

    async def follow(self) -> None:
        """Listen until the client leaves; what fails is tried again. Raises SecretInAnswer."""
        try:
            await self._follow()
        finally:
            self.ready.set()

    async def _follow(self) -> None:
        entry, about = self.entry, self._about()
        if entry.command is not None:
            node = self.exchange.node
            event, begun = self.take, self.subscribe
            await LocalStream(node, about, entry, self.session, event, begun, is_own=True, ready=self.ready).follow()
        if entry.operations is not None or not entry.target.url:
            return
        while True:
            try:
                connection = await self._connection()
                if not connection.conversation.is_modern:
                    await Legacy(self, about).follow()
                    return
                await self._listen(connection)
            except egress.Unreachable as why:
                if "error" in why.detail:
                    return
            except FAILURES:
                pass  # the client's own stream goes on, and its calls say what is wrong
            self.ready.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """End what a system of 2025 holds for this stream."""
        if self.entry.command is None and self.entry.operations is None:
            with contextlib.suppress(Closed):
                await self.exchange.node.upstreams.leave(self.session.id)

    async def subscribe(self, connection: Connection) -> None:
        """Subscribe to the resources at a system of 2025. One that refuses says nothing of them, and harms no other."""
        for uri in self.uris:
            with contextlib.suppress(egress.Unreachable):
                number = next(connection.numbers)
                await connection.conversation.ask(connection.http, "resources/subscribe", {"uri": uri}, number)

    async def take(self, text: bytes) -> None:
        """Tell the client what a system says, if it is wanted and may be known."""
        message = msgspec.json.decode(text, type=dict[str, Any])
        method, params = str(message.get("method")), message.get("params") or {}
        kind = method.removeprefix("notifications/").removesuffix("/list_changed")
        is_wanted = method in server_messages.LISTS and f"{kind}ListChanged" in self.lists
        if method == LIST_CHANGED:
            self.exchange.node.definitions.changed(self.entry.slug)
        if method == server_messages.UPDATED:
            is_wanted = params.get("uri") in self.uris and await self._may_read(params)
        if is_wanted:
            await self.say(method, {name: value for name, value in params.items() if name != "_meta"})

    async def _connection(self) -> Connection:
        node, bearer = self.exchange.node, self.exchange.bearer
        account = await replies.account_of(node, bearer, self.entry)
        return await node.upstreams.get(self.entry, bearer, node.feed.position, account)

    async def _listen(self, connection: Connection) -> None:
        conversation, number = connection.conversation, next(connection.numbers)
        wanted = dict.fromkeys(self.lists, True) | ({"resourceSubscriptions": self.uris} if self.uris else {})
        body = conversation.body(number, _LISTEN, {"notifications": wanted})

        async def hear(text: bytes) -> bool | None:
            marks = await self.exchange.node.secrets.current()
            leaks.refuse(marks.owners_in_json(text), is_over=False)
            cleaned = conversation.target.authorization.removed_from(text)
            message = msgspec.json.decode(cleaned, type=dict[str, Any])
            if message.get("method") is None:
                return "error" in message
            self.ready.set()
            await self.take(cleaned)
            return None

        async def take(answer: UpstreamAnswer) -> bool | None:
            return await upstream.first(answer, hear)

        if await conversation.post(connection.http, conversation.headers(_LISTEN), body, take):
            raise egress.Unreachable(error="The system has nothing to listen to.")

    async def _may_read(self, params: Mapping[str, Any]) -> bool:
        exchange = self.exchange
        return await server_messages.may_read(exchange.node, exchange.bearer, self.entry, params)

    def _about(self) -> CallDetails:
        about = self.exchange.about
        return CallDetails(about.bearer, self.entry.slug, _LISTEN, source=about.source)


class Legacy(Following):
    """The stream of the session that stands for a modern client's at a system of 2025."""

    def __init__(self, changes: SystemChanges, about: CallDetails) -> None:
        super().__init__(
            changes.exchange.node, about, changes.entry, changes.session, changes.take, upstream.Progress()
        )
        self._changes, self.ready = changes, changes.ready

    async def begun(self, connection: Connection) -> None:
        """Subscribe to the resources."""
        await self._changes.subscribe(connection)
