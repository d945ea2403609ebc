"""How this node speaks to each upstream: one pool per system, its era found once, its legacy sessions never shared.

A legacy session belongs to exactly one agent, person and client, is used for those alone, and is forgotten with their
rights. It lives on this node only; another node begins its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from entitlements import strict
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Answer

CALL_SECONDS: Final = 300.0
IDLE_SECONDS: Final = 600.0
MOST_SESSIONS: Final = 5_000
_SOON: Final = 5.0
"""Seconds for what nobody waits for."""

type Key = tuple[str, str | None, str]


@dataclass(slots=True, eq=False)
class Connection:
    """A conversation with an upstream, with its pool and its request numbers."""

    http: aiohttp.ClientSession
    conversation: upstream.Conversation
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    used_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class _Upstream:
    """What is known about one upstream."""

    target: upstream.Target
    http: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    modern: Connection | None = None
    is_legacy: bool = False
    sessions: dict[Key, Connection] = field(default_factory=dict)


class Connections:
    """The connections of this node to all its upstreams."""

    def __init__(self) -> None:
        self._upstreams: dict[str, _Upstream] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, entry: ServedSystem, bearer: Bearer) -> Connection:
        """Return the conversation for this caller, begun if need be. Raises Unreachable, ForbiddenAddress."""
        peer = self._upstreams.get(entry.slug)
        if peer is None or peer.target != entry.target:
            peer = self._open(entry)
        if peer.modern is not None:
            return peer.modern
        connection = peer.sessions.get(bearer.key)
        if connection is None:
            async with peer.lock:
                connection = self._kept(peer, bearer.key) or await self._begin(peer, bearer.key)
        connection.used_at = time.monotonic()
        return connection

    @staticmethod
    def _kept(peer: _Upstream, key: Key) -> Connection | None:
        return peer.modern or peer.sessions.get(key)

    def lose(self, entry: ServedSystem, bearer: Bearer, connection: Connection) -> None:
        """Forget a session that the upstream no longer knows, or an era that no longer fits."""
        peer = self._upstreams.get(entry.slug)
        if peer is None:
            return
        if peer.modern is connection:
            peer.modern = None
        elif peer.sessions.get(bearer.key) is connection:
            del peer.sessions[bearer.key]

    def end(self, system: str, key: Key) -> None:
        """End the legacy session of someone whose rights are gone."""
        peer = self._upstreams.get(system)
        if peer is not None and (connection := peer.sessions.pop(key, None)) is not None:
            self._later(connection)

    def held(self) -> list[tuple[str, Key]]:
        """Name every legacy session by system and owner."""
        return [(system, key) for system, peer in self._upstreams.items() for key in peer.sessions]

    def sweep(self) -> None:
        """End the legacy sessions that were not used for a while."""
        before = time.monotonic() - IDLE_SECONDS
        for peer in self._upstreams.values():
            for key, connection in list(peer.sessions.items()):
                if connection.used_at < before:
                    del peer.sessions[key]
                    self._later(connection)

    def cancel(self, connection: Connection, number: int) -> None:
        """Tell a legacy upstream that the client no longer waits; a modern one sees the connection close."""
        if not connection.conversation.is_modern:
            self._track(asyncio.create_task(_cancelled(connection, number)))

    async def close(self) -> None:
        """End every session, as far as the upstreams listen, and close every pool."""
        for peer in self._upstreams.values():
            for connection in peer.sessions.values():
                self._later(connection)
        if self._under_way:
            _, slow = await asyncio.wait(self._under_way, timeout=1)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        for peer in self._upstreams.values():
            await peer.http.close()

    def _open(self, entry: ServedSystem) -> _Upstream:
        egress.check_url(entry.target.url)
        before = self._upstreams.get(entry.slug)
        self._upstreams[entry.slug] = peer = _Upstream(entry.target, egress.client(seconds=CALL_SECONDS))
        if before is not None:
            self._track(asyncio.create_task(_close_later(before)))
        return peer

    async def _begin(self, peer: _Upstream, key: Key) -> Connection:
        greet = upstream.greet if peer.is_legacy else upstream.begin
        connection = Connection(peer.http, await greet(peer.http, peer.target))
        if connection.conversation.is_modern:
            peer.modern = connection
            return connection
        peer.is_legacy = True
        while len(peer.sessions) >= MOST_SESSIONS:
            self._later(peer.sessions.pop(next(iter(peer.sessions))))
        peer.sessions[key] = connection
        return connection

    def _later(self, connection: Connection) -> None:
        self._track(asyncio.create_task(connection.conversation.end(connection.http)))

    def _track(self, task: asyncio.Task[None]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


async def _cancelled(connection: Connection, number: int) -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
    conversation = connection.conversation
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(_SOON):
            await conversation.endpoint.post(connection.http, conversation.headers(), strict.dumps(notice), _ignored)


async def _ignored(_answer: Answer) -> None:
    """Read nothing of an answer."""


async def _close_later(peer: _Upstream) -> None:
    """Let the calls that still use the old pool finish."""
    try:
        await asyncio.sleep(CALL_SECONDS)
    finally:
        await peer.http.close()
