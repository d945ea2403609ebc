"""What a local server says beside its answers, heard for one stream of a client, wherever the child is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.server_messages import Beside
from entitlements.gateway.conversation.upstream_stream import FAILURES
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.shared import sealed_requests
from entitlements.node.upstreams import Connection

AGAIN_SECONDS: Final = 2.0
"""Seconds until a child that ended, or moved to another node, is looked for again."""

type Event = Callable[[bytes], Awaitable[None]]
"""Sends a message to the client."""
type Begun = Callable[[Connection], Awaitable[None]]


async def _nothing(_connection: Connection) -> None:
    """Do nothing."""


@dataclass(slots=True)
class LocalStream:
    """One stream of a client. `begun` is called for each child that it hears; `is_own`: the session is its alone."""

    node: Node
    about: CallDetails
    entry: ServedSystem
    session: ClientSession
    event: Event
    begun: Begun = _nothing
    is_own: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what the child says from now on is heard, or cannot be."""

    async def follow(self) -> None:
        """Hear the child for as long as the client listens. None is started for that; what fails is tried again."""
        beside = Beside(self.node, self.about, self.entry, self.session, is_stream=True)
        while True:
            with contextlib.suppress(*FAILURES):  # the client's own stream goes on, and its calls say what is wrong
                entry = await self.node.directory.get(self.entry.slug)
                if entry is not None and entry.command is not None and await self._is_admitted():
                    self.entry = entry
                    await self._hear(beside)
            self.ready.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _hear(self, beside: Beside) -> None:
        node, bearer, entry = self.node, self.about.bearer, self.entry
        by = sealed_requests.origin(self.session.offers, is_own=self.is_own)
        ask = sealed_requests.by(entry.slug, bearer, node.feed.position, by)

        async def take(message: bytes) -> None:
            await self._take(message, beside)

        async def begun() -> None:
            if self.begun is not _nothing:
                await self.begun(await self._connection())
            self.ready.set()

        assert entry.command is not None  # noqa: S101 - for the type checker
        await node.upstreams.local.hear(entry.slug, entry.command, bearer.key, ask, by, take, begun)

    async def _take(self, message: bytes, beside: Beside) -> None:
        if not await self._is_admitted():
            return
        marks = await self.node.secrets.current()
        leaks.refuse(marks.owners_in_json(message), is_over=False)
        said = await beside.hear(msgspec.json.encode(msgspec.json.decode(message)), await self._connection(), {})
        if said is not None:
            await self.event(said)

    async def _is_admitted(self) -> bool:
        verdict, _ = await self.node.admits(self.about.bearer.asks(self.entry.slug))
        return verdict.allowed

    async def _connection(self) -> Connection:
        node, bearer = self.node, self.about.bearer
        return await node.upstreams.get(self.entry, bearer, node.feed.position, None, self.session.offers)
