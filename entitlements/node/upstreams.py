"""How this node speaks to each upstream: one pool per system, its era found once, no legacy session for two callers.

A legacy session belongs to exactly one agent, person and client, is used for those alone, and is ended with their
rights. All nodes use the same one (`upstream_sessions.py`); a node remembers it for a while. Where the upstream gives a
session no name, or its caller is no row, there is nothing to share, and it lives on this node only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import socket
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import aiohttp

from entitlements import strict
from entitlements.connected_accounts.account_calls import AccountAuthorization
from entitlements.node import upstream_sessions
from entitlements.node.bearer import Bearer
from entitlements.node.directory import Directory, ServedSystem
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import Snapshots
from entitlements.node.upstream_sessions import IDLE_SECONDS, TOUCH_SECONDS, IdleSession, Key, UpstreamSessions
from entitlements.node.writes import Writes
from entitlements.stdio.children import Started
from entitlements.stdio.local_servers import Ask, LocalServers
from entitlements.stdio.other_nodes import Asked
from entitlements.stdio.places import Places
from entitlements.upstream import egress, upstream
from entitlements.upstream.authorization import Authorization
from entitlements.upstream.endpoint import Answer, Endpoint
from entitlements.upstream.upstream import Target

_FAILED: Final = """
UPDATE entitlements_stdiosystem c SET problem = %s, stderr = %s, failed_at = clock_timestamp()
FROM entitlements_system y WHERE y.id = c.system_id AND y.slug = %s RETURNING c.system_id
"""
CALL_SECONDS: Final = 300.0
MOST_SESSIONS: Final = 5_000
SWEEP_SECONDS: Final = 30.0
_SOON: Final = 5.0
"""Seconds for a notice without an answer."""
_TRIES: Final = 3


type DialSystem = Callable[[str, str], Awaitable[socket.socket]]
"""Opens a connection to a system by a connector, to a `host:port` (`Relays.dial`)."""


def _request_numbers() -> Iterator[int]:
    """Count from a place of this node's own, since request ids of one session must differ between nodes.

    Numbers stay below 2**53, which every JSON reader keeps exact.
    """
    return itertools.count((secrets.randbits(32) << 20) + 1)


@dataclass(slots=True, eq=False)
class Connection:
    """A conversation with an upstream, with its pool and its request numbers; `row` is that of a shared session."""

    http: aiohttp.ClientSession
    conversation: upstream.Conversation
    row: UUID | None = None
    numbers: Iterator[int] = field(default_factory=_request_numbers)
    used_at: float = field(default_factory=time.monotonic)
    touched_at: float = field(default_factory=time.monotonic)

    @property
    def is_fresh(self) -> bool:
        """Whether it may be used without a look at its row."""
        return self.row is None or time.monotonic() - self.touched_at < TOUCH_SECONDS


@dataclass(slots=True, eq=False)
class _Upstream:
    """What is known about one upstream. `lost` are the rows of sessions that it does not know any more."""

    target: upstream.Target
    http: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    locks: weakref.WeakValueDictionary[Key, asyncio.Lock] = field(default_factory=weakref.WeakValueDictionary)
    modern: Connection | None = None
    is_legacy: bool = False
    sessions: dict[Key, Connection] = field(default_factory=dict)
    lost: dict[Key, UUID] = field(default_factory=dict)
    endpoint: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        """Know where requests of a REST API go."""
        self.endpoint = Endpoint(self.target.url)

    def lock_of(self, key: Key) -> asyncio.Lock:
        """Return what one caller's session is begun under; while the era is not known, all wait for each other."""
        return self.locks.setdefault(key, asyncio.Lock()) if self.is_legacy else self.lock


class Connections:
    """The connections of this node to all its upstreams."""

    def __init__(
        self,
        snapshots: Snapshots,
        writes: Writes,
        directory: Directory,
        places: Places,
        started: Started,
        dial: DialSystem,
    ) -> None:
        self._dial = dial
        self._upstreams: dict[str, _Upstream] = {}
        self._shared = UpstreamSessions(snapshots, writes)
        self._directory = directory
        self.local = LocalServers(places, partial(_write_down, writes), started)
        self._local_numbers = _request_numbers()
        self._under_way: set[asyncio.Task[None]] = set()
        self._next_sweep = time.monotonic() + secrets.randbelow(int(SWEEP_SECONDS))

    async def get(
        self, entry: ServedSystem, bearer: Bearer, position: int = 0, account: AccountAuthorization | None = None
    ) -> Connection:
        """Return the conversation for this caller, begun if need be. `position`: of the feed, as it was decided by.

        Raises Unreachable, ForbiddenAddress, Closed.
        """
        if entry.command is not None:
            ask = _asked(entry.slug, bearer, position)
            local = await self.local.get(entry.slug, entry.command, bearer.key, ask)
            return Connection(*local, numbers=self._local_numbers)
        peer = self._upstreams.get(entry.slug)
        if peer is None or peer.target != entry.target:
            peer = self._open(entry)
        target = peer.target if account is None else account.target(peer.target)
        connection = _kept(peer, bearer.key, target)
        if connection is None:
            async with peer.lock_of(bearer.key):
                connection = _kept(peer, bearer.key, target) or await self._find_or_begin(
                    entry.slug, peer, bearer.key, target
                )
        connection.used_at = time.monotonic()
        return connection

    def pool(self, entry: ServedSystem) -> tuple[aiohttp.ClientSession, Endpoint, Authorization]:
        """Return the pool of a REST API, where its requests go, and what authorizes them. Raises ForbiddenAddress."""
        peer = self._upstreams.get(entry.slug)
        if peer is None or peer.target != entry.target:
            peer = self._open(entry)
        return peer.http, peer.endpoint, peer.target.authorization

    def lose(self, entry: ServedSystem, bearer: Bearer, connection: Connection) -> None:
        """Forget a session that the upstream no longer knows, or an era that no longer fits."""
        if entry.command is not None:
            self.local.lose(entry.slug, entry.command, bearer.key)
        peer = self._upstreams.get(entry.slug)
        if peer is None:
            return
        if peer.modern is connection:
            peer.modern = None
        elif peer.sessions.get(bearer.key) is connection:
            del peer.sessions[bearer.key]
            if connection.row is not None:
                peer.lost[bearer.key] = connection.row

    def end(self, system: str, key: Key) -> None:
        """End the legacy session, and the local server, of someone whose rights are gone."""
        self.local.end(system, key)
        peer = self._upstreams.get(system)
        if peer is not None and (connection := peer.sessions.pop(key, None)) is not None:
            self._track(asyncio.create_task(self._end(connection)))

    def held(self) -> list[tuple[str, Key]]:
        """Name every legacy session and local server of this node, by system and owner."""
        sessions = [(system, key) for system, peer in self._upstreams.items() for key in peer.sessions]
        return sessions + self.local.held()

    def forget_system(self, system: str) -> None:
        """Start the local servers of a system anew: it, or its command, has changed."""
        self.local.forget_system(system)

    def sweep(self) -> None:
        """Forget the legacy sessions that this node did not use for a while, and end those that no node uses."""
        self.local.sweep()
        now = time.monotonic()
        for peer in self._upstreams.values():
            for key, connection in list(peer.sessions.items()):
                if connection.used_at < now - IDLE_SECONDS:
                    self._forget(peer, key)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._track(asyncio.create_task(self.end_idle()))

    def follow(self, system: str | None) -> None:
        """Look at a system that changed, or at all: with another network its pool is closed at once, with its calls."""
        for slug in list(self._upstreams) if system is None else [system]:
            if slug in self._upstreams:
                self._track(asyncio.create_task(self._follow(slug)))

    async def _follow(self, system: str) -> None:
        """Close a pool whose network is no longer in force, or is not known to be."""
        entry = None
        with contextlib.suppress(Closed):
            entry = await self._directory.get(system)
        peer = self._upstreams.get(system)
        if peer is None or peer.target.network == (None if entry is None else entry.target.network):
            return
        del self._upstreams[system]
        await peer.http.close()

    def cancel(self, connection: Connection, number: int) -> None:
        """Tell a legacy upstream that the client no longer waits; a modern one sees the connection close."""
        if not connection.conversation.is_modern:
            self._track(asyncio.create_task(_cancelled(connection, number)))

    async def close(self) -> None:
        """Close every pool. Sessions that other nodes may use stay; the rest end, as far as the upstreams listen."""
        await self.local.close()
        for peer in self._upstreams.values():
            for key in list(peer.sessions):
                self._forget(peer, key)
        if self._under_way:
            _, slow = await asyncio.wait(self._under_way, timeout=1)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        for peer in self._upstreams.values():
            await peer.http.close()

    def _open(self, entry: ServedSystem) -> _Upstream:
        target = entry.target
        egress.check_url(target.url, target.network)
        before = self._upstreams.get(entry.slug)
        dial = partial(self._dial, entry.slug)
        pool = egress.client(seconds=CALL_SECONDS, network=target.network, dial=dial)
        self._upstreams[entry.slug] = peer = _Upstream(target, pool)
        if before is not None:
            is_cut = before.target.network != target.network
            self._track(asyncio.create_task(before.http.close() if is_cut else _close_later(before)))
        return peer

    async def _find_or_begin(self, system: str, peer: _Upstream, key: Key, target: Target) -> Connection:
        known = peer.sessions.get(key)
        if known is not None and known.conversation.target != target:
            self._forget(peer, key)  # it is of another account of the person
            known = None
        if known is not None and known.row is not None and await self._shared.touch(known.row):
            known.touched_at = time.monotonic()
            return known
        if (lost := peer.lost.get(key)) is not None:
            await self._shared.end(lost)
            peer.lost.pop(key, None)
        if (shared := await self._shared.find(system, key, target)) is not None:
            return self._remember(peer, key, Connection(peer.http, shared[1], shared[0]))
        return await self._begin(system, peer, key, target)

    async def _begin(self, system: str, peer: _Upstream, key: Key, target: Target) -> Connection:
        greet = upstream.greet if peer.is_legacy else upstream.begin
        connection = Connection(peer.http, await greet(peer.http, target))
        if connection.conversation.is_modern and not target.account:
            peer.modern = connection
            return connection
        if connection.conversation.session:
            connection = await self._agreed(system, peer, key, connection)
        return self._remember(peer, key, connection)

    async def _agreed(self, system: str, peer: _Upstream, key: Key, own: Connection) -> Connection:
        """Share a session that was begun, or take the one that another node has shared meanwhile and end our own."""
        for _ in range(_TRIES):
            own.row = await self._shared.keep(system, key, own.conversation)
            if own.row is not None:
                return own
            if (theirs := await self._shared.find(system, key, own.conversation.target)) is not None:
                self._later(own)
                return Connection(peer.http, theirs[1], theirs[0])
        return own

    def _remember(self, peer: _Upstream, key: Key, connection: Connection) -> Connection:
        peer.is_legacy = peer.is_legacy or not connection.conversation.is_modern
        while len(peer.sessions) >= MOST_SESSIONS:
            self._forget(peer, next(iter(peer.sessions)))
        peer.sessions[key] = connection
        return connection

    def _forget(self, peer: _Upstream, key: Key) -> None:
        connection = peer.sessions.pop(key)
        if connection.row is None:
            self._later(connection)

    async def _end(self, connection: Connection) -> None:
        with contextlib.suppress(Closed):
            if connection.row is None or await self._shared.end(connection.row):
                await connection.conversation.end(connection.http)

    async def end_idle(self) -> None:
        """End some of the sessions that no node has used for long."""
        with contextlib.suppress(Closed):
            for idle in await self._shared.end_idle():
                self._track(asyncio.create_task(self._end_at_system(idle)))

    async def _end_at_system(self, idle: IdleSession) -> None:
        """Tell a system that a session is over, unless its address or credential is another by now."""
        with contextlib.suppress(Closed, egress.ForbiddenAddress):
            entry = await self._directory.get(idle.system)
            if entry is None:
                return
            peer = self._upstreams.get(entry.slug)
            target = peer.target if peer is not None and peer.target == entry.target else entry.target  # has its token
            conversation = upstream_sessions.opened(idle.row, idle.sealed, idle.protocol, target)
            if conversation is not None:
                await conversation.end((peer or self._open(entry)).http)

    def _later(self, connection: Connection) -> None:
        self._track(asyncio.create_task(connection.conversation.end(connection.http)))

    def _track(self, task: asyncio.Task[None]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _kept(peer: _Upstream, key: Key, target: Target) -> Connection | None:
    """Return what is used without asking anybody."""
    connection = peer.modern or peer.sessions.get(key)
    if connection is None or not connection.is_fresh or connection.conversation.target != target:
        return None
    connection.conversation.target = target  # of an account, what authorizes by the tokens that are known now
    return connection


def _asked(system: str, bearer: Bearer, position: int) -> Ask:
    """Return what makes a request for another node of a message: with the caller, for whom it decides once more.

    What the details of a token cover was looked at here, and does not change.
    """
    token = bearer.token
    return lambda message, at, number: Asked(
        at=at, number=number, system=system, position=position, message=message,
        agent=bearer.agent, person=bearer.person, client=bearer.client, session=bearer.session, chain=bearer.chain,
        jti=token.jti, issued=token.issued, expires=token.expires, scopes=tuple(token.scopes),
        covers_all=token.covers_all or token.details is not None,
    )  # fmt: skip


async def _write_down(writes: Writes, system: str, why: str, stderr: str) -> None:
    """Keep for its owner why a local server ended or did not start; that it cannot be kept changes no call."""
    with contextlib.suppress(Closed):
        await writes.run(_FAILED, [why, stderr, system])


async def _cancelled(connection: Connection, number: int) -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
    conversation = connection.conversation
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, egress.Unreachable):
        async with asyncio.timeout(_SOON):
            await conversation.post(connection.http, conversation.headers(), strict.dumps(notice), _ignored)


async def _ignored(_answer: Answer) -> None:
    """Read nothing of an answer."""


async def _close_later(peer: _Upstream) -> None:
    """Let the calls that still use the old pool finish."""
    try:
        await asyncio.sleep(CALL_SECONDS)
    finally:
        await peer.http.close()
