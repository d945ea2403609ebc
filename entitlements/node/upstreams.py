"""How this node speaks to each upstream: one pool per system, its era found once, no legacy session for two callers.

A legacy session belongs to exactly one agent, person and client, is used for those alone, and is ended with their
rights. All nodes use the same one (`upstream_sessions.py`); a node remembers it for a while. Where the upstream gives a
session no name, or its caller is no row, there is nothing to share, and it lives on this node only. Each session of a
legacy client has an upstream session of its own, so that what the upstream says beside its answers finds that client;
such a client is spoken for in its own era wherever the upstream knows that.
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
from http import HTTPStatus
from typing import Final
from uuid import UUID

import aiohttp

from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import AccountAuthorization
from entitlements.node.bearer import Bearer
from entitlements.node.directory import Directory, ServedSystem
from entitlements.node.isolation.isolation import NotForwarded
from entitlements.node.refusals import Closed
from entitlements.node.shared import sealed_requests, upstream_sessions
from entitlements.node.shared.client_offers import NOTHING, Offers
from entitlements.node.shared.upstream_sessions import (
    IDLE_SECONDS,
    TOUCH_SECONDS,
    IdleSession,
    Key,
    Place,
    UpstreamSessions,
)
from entitlements.node.snapshots import Snapshots
from entitlements.node.writes import Writes
from entitlements.stdio import failures
from entitlements.stdio.children import NoRoom, Started
from entitlements.stdio.local_servers import LocalServers
from entitlements.stdio.places import Places
from entitlements.upstream import egress, upstream
from entitlements.upstream.authorization import Authorization
from entitlements.upstream.endpoint import Endpoint
from entitlements.upstream.token_requests import TokenUnavailable
from entitlements.upstream.upstream import Target

CALL_SECONDS: Final = 300.0
MOST_SESSIONS: Final = 5_000
SWEEP_SECONDS: Final = 30.0
_TRIES: Final = 3
_NOT_FOR_US: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


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
    locks: weakref.WeakValueDictionary[Place, asyncio.Lock] = field(default_factory=weakref.WeakValueDictionary)
    modern: Connection | None = None
    is_legacy: bool = False
    is_modern_only: bool = False
    sessions: dict[Place, Connection] = field(default_factory=dict)
    lost: dict[Place, UUID] = field(default_factory=dict)
    endpoint: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        """Know where requests of a REST API go."""
        self.endpoint = Endpoint(self.target.url)

    def lock_of(self, place: Place) -> asyncio.Lock:
        """Return what one caller's session is begun under; while the era is not known, all wait for each other."""
        is_own = self.is_legacy or place[1] is not None
        return self.locks.setdefault(place, asyncio.Lock()) if is_own else self.lock


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
        self.local = LocalServers(places, partial(failures.write_down, writes.run, Closed), started)
        self._local_numbers = _request_numbers()
        self._under_way: set[asyncio.Task[None]] = set()
        self._next_sweep = time.monotonic() + secrets.randbelow(int(SWEEP_SECONDS))

    async def get(
        self,
        entry: ServedSystem,
        bearer: Bearer,
        position: int = 0,
        account: AccountAuthorization | None = None,
        offers: Offers = NOTHING,
    ) -> Connection:
        """Return the conversation for this caller, begun if need be. `position`: of the feed, as it was decided by.

        Raises Unreachable, ForbiddenAddress, NotForwarded, Closed.
        """
        if entry.command is not None:
            origin = sealed_requests.origin(offers)
            ask = sealed_requests.by(entry.slug, bearer, position, origin)
            try:
                local = await self.local.get(entry.slug, entry.command, bearer.key, ask, origin)
            except NoRoom as why:
                raise NotForwarded(Code.RATE_LIMITED, why.message, data={"certain": True}, retry_after=10) from why
            return Connection(*local, numbers=self._local_numbers)
        peer = self._upstreams.get(entry.slug)
        if peer is None or peer.target != entry.target:
            peer = self._open(entry)
        target = peer.target if account is None else account.target(peer.target)
        place: Place = (bearer.key, offers.session)
        connection = _kept(peer, place, target, offers)
        if connection is None:
            async with peer.lock_of(place):
                connection = _kept(peer, place, target, offers) or await self._find_or_begin(
                    entry.slug, peer, place, target, offers
                )
        connection.used_at = time.monotonic()
        return connection

    def pool(self, entry: ServedSystem) -> tuple[aiohttp.ClientSession, Endpoint, Authorization]:
        """Return the pool of a REST API, where its requests go, and what authorizes them. Raises ForbiddenAddress."""
        peer = self._upstreams.get(entry.slug)
        if peer is None or peer.target != entry.target:
            peer = self._open(entry)
        return peer.http, peer.endpoint, peer.target.authorization

    def lose(self, entry: ServedSystem, bearer: Bearer, connection: Connection, session: UUID | None = None) -> None:
        """Forget a session that the upstream no longer knows, or an era that no longer fits."""
        if entry.command is not None:
            self.local.lose(entry.slug, entry.command, bearer.key)
        peer = self._upstreams.get(entry.slug)
        if peer is None:
            return
        if peer.modern is connection:
            peer.modern = None
        elif peer.sessions.get(place := (bearer.key, session)) is connection:
            del peer.sessions[place]
            if connection.row is not None:
                peer.lost[place] = connection.row

    def end(self, system: str, key: Key) -> None:
        """End the legacy session, and the local server, of someone whose rights are gone."""
        self.local.end(system, key)
        peer = self._upstreams.get(system)
        if peer is not None:
            for place in [place for place in peer.sessions if place[0] == key]:
                self._track(asyncio.create_task(self._end(peer.sessions.pop(place))))

    async def leave(self, session: UUID) -> None:
        """End what is open at any upstream for a client's session that is over. Raises Closed."""
        for ended in await self._shared.end_of_client(session):
            self._track(asyncio.create_task(self._end_at_system(ended)))

    def held(self) -> list[tuple[str, Key]]:
        """Name every legacy session and local server of this node, by system and owner."""
        sessions = [
            (system, key) for system, peer in self._upstreams.items() for key in {key for key, _ in peer.sessions}
        ]
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
            self._track(asyncio.create_task(connection.conversation.cancel(connection.http, number)))

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

    async def _find_or_begin(
        self, system: str, peer: _Upstream, place: Place, target: Target, offers: Offers
    ) -> Connection:
        known = peer.sessions.get(place)
        if known is not None and known.conversation.target != target:
            self._forget(peer, place)  # it is of another account of the person
            known = None
        if known is not None and known.row is not None and await self._shared.touch(known.row):
            known.touched_at = time.monotonic()
            return known
        if (lost := peer.lost.get(place)) is not None:
            await self._shared.end(lost)
            peer.lost.pop(place, None)
        if (shared := await self._shared.find(system, *place, target)) is not None:
            peer.is_legacy |= place[1] is None
            return self._remember(peer, place, Connection(peer.http, shared[1], shared[0]))
        return await self._begin(system, peer, place, target, offers)

    async def _begin(self, system: str, peer: _Upstream, place: Place, target: Target, offers: Offers) -> Connection:
        connection = Connection(peer.http, await _greeted(peer, target, offers))
        if connection.conversation.is_modern and not target.account:
            peer.modern = connection
            return connection
        if connection.conversation.session:
            connection = await self._agreed(system, peer, place, connection)
        return self._remember(peer, place, connection)

    async def _agreed(self, system: str, peer: _Upstream, place: Place, own: Connection) -> Connection:
        """Share a session that was begun, or take the one that another node has shared meanwhile and end our own."""
        for _ in range(_TRIES):
            own.row = await self._shared.keep(system, *place, own.conversation)
            if own.row is not None:
                return own
            if (theirs := await self._shared.find(system, *place, own.conversation.target)) is not None:
                self._later(own)
                return Connection(peer.http, theirs[1], theirs[0])
        return own

    def _remember(self, peer: _Upstream, key: Place, connection: Connection) -> Connection:
        while len(peer.sessions) >= MOST_SESSIONS:
            self._forget(peer, next(iter(peer.sessions)))
        peer.sessions[key] = connection
        return connection

    def _forget(self, peer: _Upstream, key: Place) -> None:
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


async def _greeted(peer: _Upstream, target: Target, offers: Offers) -> upstream.Conversation:
    """Begin to speak, for a legacy client in its own era if the upstream knows that. Raises Unreachable."""
    if offers.is_of_session and not peer.is_modern_only:
        try:
            return await upstream.greet(peer.http, target, offers.capabilities)
        except egress.Unreachable as refusal:
            status = refusal.detail.get("status")
            if peer.is_legacy or status is None or status in _NOT_FOR_US or isinstance(refusal, TokenUnavailable):
                raise
    if peer.is_legacy:
        return await upstream.greet(peer.http, target, offers.capabilities)
    conversation = await upstream.begin(peer.http, target, offers.capabilities)
    if offers.is_of_session:
        peer.is_modern_only = conversation.is_modern
    else:
        peer.is_legacy = not conversation.is_modern
    return conversation


def _kept(peer: _Upstream, place: Place, target: Target, offers: Offers) -> Connection | None:
    """Return what is used without asking anybody."""
    own = peer.sessions.get(place)
    connection = own if offers.is_of_session and not peer.is_modern_only else peer.modern or own
    if connection is None or not connection.is_fresh or connection.conversation.target != target:
        return None
    connection.conversation.target = target  # of an account, what authorizes by the tokens that are known now
    return connection


async def _close_later(peer: _Upstream) -> None:
    """Let the calls that still use the old pool finish."""
    try:
        await asyncio.sleep(CALL_SECONDS)
    finally:
        await peer.http.close()
