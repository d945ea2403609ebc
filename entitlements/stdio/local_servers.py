"""The children of a node by its callers: for each system, agent and person, whichever client they come by.

A caller has one child, on one node. Where that is another one, the request goes there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import aiohttp

from entitlements.stdio import other_nodes
from entitlements.stdio.children import Changed, Children, Started
from entitlements.stdio.command import Command
from entitlements.stdio.other_nodes import Asked, NodeEndpoint
from entitlements.stdio.places import Elsewhere, Owner, Places
from entitlements.stdio.sandbox.plan import Level
from entitlements.upstream import egress, upstream

KNOWN_SECONDS: Final = 5.0
"""How long it is remembered which other node has a child."""

type Key = tuple[str, str | None, str]
"""Agent, person and client."""
type Ask = Callable[[bytes, float, str], Asked]
type Way = tuple[aiohttp.ClientSession, upstream.Conversation]
type WriteDown = Callable[[str, str, str], Awaitable[None]]
"""Keeps for the owner of a system why a child of it ended or did not start, and the end of its standard error."""


class LocalServers:
    """The children of this node, by the callers whose they are, and the way to those of other nodes."""

    def __init__(self, places: Places, write_down: WriteDown, started: Started, changed: Changed) -> None:
        self._places, self._write_down, self._record = places, write_down, started
        self._children = Children(report=self._report, started=self._started, left=self._left, changed=changed)
        self._http: aiohttp.ClientSession | None = None
        self._pool: aiohttp.ClientSession | None = None
        self._keys: defaultdict[tuple[str, Owner], set[Key]] = defaultdict(set)
        self._known: dict[tuple[str, Owner | None], tuple[Elsewhere, float]] = {}
        self._locks: weakref.WeakValueDictionary[tuple[str, Owner | None], asyncio.Lock] = weakref.WeakValueDictionary()
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(self, system: str, command: Command, key: Key, ask: Ask) -> Way:
        """Return the conversation with this caller's child, here or at the node that has it. `ask`: for the latter.

        Raises Unreachable, and what `places` raises.
        """
        owner = _owner(command, key)
        if (elsewhere := await self._elsewhere(system, owner)) is None:
            return await self._here(system, command, key)
        if self._pool is None:
            self._pool = other_nodes.pool()
        conversation = upstream.Conversation(upstream.Target("stdio://child"), version=upstream.LEGACY[0])
        conversation.session = elsewhere.node  # so an answer that it is not there any more sends us to look again
        conversation.endpoint = NodeEndpoint(elsewhere, ask)
        return self._pool, conversation

    async def get_here(self, system: str, command: Command, key: Key) -> Way | None:
        """Return the conversation with a child that is this node's, started if need be; None where it is another's.

        Raises Unreachable, and what `places` raises.
        """
        if await self._elsewhere(system, _owner(command, key)) is not None:
            return None
        return await self._here(system, command, key)

    def has(self, system: str, command: Command, key: Key) -> bool:
        """Whether this caller's child is here."""
        return self._children.has(system, _owner(command, key))

    def lose(self, system: str, command: Command, key: Key) -> None:
        """Forget which other node has a child."""
        self._known.pop((system, _owner(command, key)), None)

    def held(self) -> list[tuple[str, Key]]:
        """Name every caller who has a child here, by system."""
        alive = set(self._children.owners())
        for gone in self._keys.keys() - alive:
            del self._keys[gone]
        return [(system, key) for (system, _), keys in self._keys.items() for key in keys]

    def end(self, system: str, key: Key) -> None:
        """End the child of a caller whose rights are gone, also where another client of theirs uses it."""
        if self._keys.pop((system, key[:2]), None) is not None:
            self._children.end(system, key[:2])

    def forget_system(self, system: str) -> None:
        """Have the children of a system end as soon as nothing waits for them."""
        self._children.end_system(system)

    def sweep(self) -> None:
        """End the children that were not used for long, and notice those that ended by themselves."""
        self._children.sweep()
        now = time.monotonic()
        self._known = {place: known for place, known in self._known.items() if known[1] > now}

    async def close(self) -> None:
        """End every child."""
        await self._children.close()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)
        for pool in (self._http, self._pool):
            if pool is not None:
                await pool.close()

    async def _elsewhere(self, system: str, owner: Owner | None) -> Elsewhere | None:
        """Return the other node that has a child, or None once it is this one's."""
        place = (system, owner)
        if self._places.is_known(*place) and self._children.has(*place):
            return None
        known, until = self._known.get(place, (None, 0.0))
        if known is not None and until > time.monotonic():
            return known
        async with self._locks.setdefault(place, asyncio.Lock()):
            found = await self._places.take(*place)
        if found is None:
            self._known.pop(place, None)
            return None
        self._children.end(*place)  # the lease of this node had lapsed, and another took it
        self._known[place] = (found, time.monotonic() + KNOWN_SECONDS)
        return found

    async def _here(self, system: str, command: Command, key: Key) -> Way:
        if self._http is None:
            self._http = egress.client(connections=1)  # what every conversation is given, and these never use
        if not command.is_shared:
            self._keys[system, key[:2]].add(key)
        return self._http, await self._children.get(self._http, system, command, key[:2])

    def _started(self, system: str, owner: Owner | None, level: Level) -> None:
        self._record(system, owner, level)
        self._track(self._quietly(self._places.started(system, owner, level)))

    def _left(self, system: str, owner: Owner | None) -> None:
        self._track(self._quietly(self._leave(system, owner)))

    async def _leave(self, system: str, owner: Owner | None) -> None:
        """Let go of the row of a child, unless another was begun for it meanwhile."""
        async with self._locks.setdefault((system, owner), asyncio.Lock()):
            if not self._children.has(system, owner):
                await self._places.leave(system, owner)

    def _report(self, system: str, why: str, stderr: str) -> None:
        self._track(self._write_down(system, why, stderr))

    @staticmethod
    async def _quietly(job: Coroutine[Any, Any, None]) -> None:
        """A row that cannot be written changes no call: the lease decides whose it is."""
        with contextlib.suppress(Exception):
            await job

    def _track(self, job: Awaitable[None]) -> None:
        task = asyncio.ensure_future(job)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _owner(command: Command, key: Key) -> Owner | None:
    return None if command.is_shared else key[:2]
