"""The children of one process: one for each system, agent and person, or one a system where its command says so.

A child is started by the first request that needs it, ends when it was not used for a while, and after it ended by
itself is started again later and later. Its scratch folder is its own and goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

import aiohttp

from entitlements.stdio.command import Command, SandboxMissing
from entitlements.stdio.endpoint import LONGEST_LINE, CallerEndpoint, ChildEndpoint
from entitlements.stdio.package import PackageRefused
from entitlements.stdio.places import Owner
from entitlements.stdio.sandbox import bubblewrap
from entitlements.stdio.sandbox.plan import Level
from entitlements.stdio.sandbox.start import NotStarted, start
from entitlements.stdio_messages.listener import NO_SESSION, OFFERS, Listener, Origin
from entitlements.upstream import egress, upstream
from entitlements.upstream.endpoint import Endpoint

IDLE_SECONDS: Final = 600.0
MOST_CHILDREN: Final = 64
FIRST_USER: Final = 64_200
"""Of a gateway that is root: each child is a user of its own, from here on."""
GREETING_SECONDS: Final = 20.0
LONGEST_PAUSE: Final = 60.0
SESSION: Final = "child"
LASTED_SECONDS: Final = 60.0
"""A child that lasted this long was well: the next one starts at once."""

type Started = Callable[[str, Owner | None, Level], None]
"""Takes a system, whose child of it was started, and how far that is held."""
type Left = Callable[[str, Owner | None], None]
"""Takes a system, and whose child of it is none of this process any more."""
type Report = Callable[[str, str, str], None]
"""Takes a system, why a child of it ended or did not start, and the end of its standard error."""

logger = logging.getLogger(__name__)


class NoRoom(egress.Unreachable):
    """The node runs as many local servers as it may, or as is the share of one agent."""


@dataclass(slots=True, eq=False)
class _Place:
    """Where the child of one owner is, or will be."""

    system: str
    owner: Owner | None
    command: Command
    starter: str
    """The agent of whose share it is: its owner's, or the first caller's of one that all share."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: _Running | None = None
    failures: int = 0
    not_before: float = 0.0


@dataclass(slots=True, eq=False)
class _Running:
    endpoint: ChildEndpoint
    conversation: upstream.Conversation
    scratch: str
    uid: int | None
    began: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)


class Children:
    """The children of this process. `folder`: where scratch folders are made; `report` hears what went wrong."""

    def __init__(
        self,
        *,
        folder: str = "",
        report: Report | None = None,
        started: Started | None = None,
        left: Left | None = None,
    ) -> None:
        self._folder = folder or tempfile.gettempdir()
        self._started = started or (lambda _system, _owner, _level: None)
        self._left = left or (lambda _system, _owner: None)
        self._report = report or (lambda _system, _why, _stderr: None)
        self._places: dict[tuple[str, Owner | None], _Place] = {}
        self._streams: defaultdict[tuple[str, Owner | None], list[Listener]] = defaultdict(list)
        self.changed: Callable[[str], None] = lambda _system: None
        """Takes a system, a child of which said that its list of tools changed."""
        self._users = set(range(FIRST_USER, FIRST_USER + MOST_CHILDREN)) if os.geteuid() == 0 else None
        self._under_way: set[asyncio.Task[None]] = set()

    async def get(
        self, http: aiohttp.ClientSession, system: str, command: Command, owner: Owner, origin: Origin = NO_SESSION
    ) -> upstream.Conversation:
        """Return the conversation with this owner's child, started if need be. Raises Unreachable.

        `origin`: by what its messages come.
        """
        key = (system, None if command.is_shared else owner)
        place = self._places.get(key)
        if place is None or place.command != command:
            self._leave(key)
            place = self._places[key] = _Place(*key, command, owner[0])
        async with place.lock:
            self._notice_end(place)
            running = place.running = place.running or await self._start(http, place)
        running.used_at = time.monotonic()
        found = conversation(running.conversation.version, CallerEndpoint(running.endpoint, origin))
        found.offers = running.conversation.offers
        return found

    @contextlib.contextmanager
    def listening(self, system: str, command: Command, owner: Owner, origin: Origin) -> Iterator[Listener]:
        """Let a stream hear what this owner's child says, while one runs; it is over with that one."""
        key = (system, None if command.is_shared else owner)
        stream = Listener(origin, is_stream=True)
        self._streams[key].append(stream)
        try:
            yield stream
        finally:
            self._streams[key].remove(stream)
            for endpoint in self._running(key):
                self._track(endpoint.forget(stream))
                if origin.is_own and origin.session is not None:
                    self._track(endpoint.leave(origin.session))
            if not self._streams[key] and key not in self._places:
                del self._streams[key]

    def leave(self, session: UUID) -> None:
        """End what a client's session that is over subscribed to."""
        for key in self._places:
            for endpoint in self._running(key):
                self._track(endpoint.leave(session))

    def _running(self, key: tuple[str, Owner | None]) -> list[ChildEndpoint]:
        place = self._places.get(key)
        return [] if place is None or place.running is None else [place.running.endpoint]

    def has(self, system: str, owner: Owner | None) -> bool:
        """Whether a child of this owner runs here, or starts, or ended a short while ago."""
        return (system, owner) in self._places

    def owners(self) -> list[tuple[str, Owner]]:
        """Name every child that has an owner, by system and owner."""
        return [(system, owner) for system, owner in self._places if owner is not None]

    def end(self, system: str, owner: Owner | None) -> None:
        """End the child of an owner whose rights are gone, at once."""
        self._leave((system, owner), at_once=True)

    def end_system(self, system: str) -> None:
        """End the children of a system that changed, each when nothing waits for it."""
        for key in [key for key in self._places if key[0] == system]:
            self._leave(key)

    def sweep(self) -> None:
        """End the children that were not used for long, and notice those that ended by themselves."""
        now = time.monotonic()
        for key, place in list(self._places.items()):
            if place.lock.locked():
                continue
            self._notice_end(place)
            running = place.running
            is_idle = running is not None and not running.endpoint.is_busy and running.used_at < now - IDLE_SECONDS
            if is_idle or (running is None and place.not_before < now - IDLE_SECONDS):
                self._leave(key)

    async def close(self) -> None:
        """End every child."""
        for key in list(self._places):
            self._leave(key, at_once=True)
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _start(self, http: aiohttp.ClientSession, place: _Place) -> _Running:
        now = time.monotonic()
        if now < place.not_before:
            raise egress.Unreachable("The local server ended, and is started again soon.")
        others = [each for each in self._places.values() if each is not place]
        held = [each.starter for each in others if each.running is not None or each.lock.locked()]
        if held.count(place.starter) >= MOST_CHILDREN - len(held):  # as a pool of `entitlements/shares/pool.py`
            raise NoRoom
        uid = self._users.pop() if self._users else None
        scratch = tempfile.mkdtemp(prefix="mandate-stdio-", dir=self._folder)
        endpoint: ChildEndpoint | None = None
        try:
            if uid is not None:
                os.chown(scratch, uid, uid)
            level = await asyncio.to_thread(bubblewrap.level, has_network=bool(place.command.ports))
            plan = await asyncio.to_thread(place.command.plan, scratch=scratch, uid=uid, level=level)
            child = await start(plan, longest_line=LONGEST_LINE)
            streams, changed = self._streams[place.system, place.owner], partial(self.changed, place.system)
            is_shared = place.command.is_shared
            endpoint = ChildEndpoint(child, streams, changed, is_shared=is_shared)
            greeting = conversation(upstream.LEGACY[0], endpoint, {} if is_shared else OFFERS)
            async with asyncio.timeout(GREETING_SECONDS):
                await upstream.initialize(http, greeting)
        except (SandboxMissing, PackageRefused, NotStarted, egress.Unreachable, OSError, TimeoutError) as why:
            self._count_failure(place, f"{type(why).__name__}: {why}"[:300], endpoint)
            await self._finish(endpoint, scratch, uid)
            raise egress.Unreachable("The local server does not start.") from why
        except BaseException:
            await asyncio.shield(self._finish(endpoint, scratch, uid))
            raise
        self._started(place.system, place.owner, plan.held)
        return _Running(endpoint, greeting, scratch, uid)

    def _notice_end(self, place: _Place) -> None:
        """Take note of a child that ended by itself."""
        running = place.running
        if running is None or not running.endpoint.is_over:
            return
        place.running = None
        if time.monotonic() - running.began > LASTED_SECONDS:
            place.failures = 0
        self._count_failure(place, running.endpoint.problem, running.endpoint)
        self._track(self._finish(running.endpoint, running.scratch, running.uid))

    def _count_failure(self, place: _Place, why: str, endpoint: ChildEndpoint | None) -> None:
        place.not_before = time.monotonic() + min(LONGEST_PAUSE, 2.0**place.failures)
        place.failures += 1
        logger.warning("local_server_failed", extra={"system": place.system, "why": why})
        self._report(place.system, why, endpoint.stderr if endpoint is not None else "")

    def _leave(self, key: tuple[str, Owner | None], *, at_once: bool = False) -> None:
        place = self._places.pop(key, None)
        if not self._streams.get(key):
            self._streams.pop(key, None)
        if place is not None:
            self._track(self._end_when_idle(place, at_once=at_once))

    async def _end_when_idle(self, place: _Place, *, at_once: bool) -> None:
        async with place.lock:
            running, place.running = place.running, None
        if running is not None:
            if not at_once:
                await running.endpoint.idle()
            await self._finish(running.endpoint, running.scratch, running.uid)
        self._left(place.system, place.owner)

    async def _finish(self, endpoint: ChildEndpoint | None, scratch: str, uid: int | None) -> None:
        if endpoint is not None:
            await endpoint.end()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(shutil.rmtree, scratch)
        if uid is not None and self._users is not None:
            self._users.add(uid)

    def _track(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def conversation(
    version: str, endpoint: Endpoint, capabilities: Mapping[str, Any] | None = None
) -> upstream.Conversation:
    """Return a conversation with a child, whichever way it is reached. All are one session: a child has no other."""
    found = upstream.Conversation(
        upstream.Target("stdio://child"), version=version, session=SESSION, capabilities=capabilities or {}
    )
    found.endpoint = endpoint
    return found


async def tools(command: Command) -> list[dict[str, object]]:
    """List the tools of a command by a child that is started for this alone. Raises PartialList, Unreachable."""
    said: list[str] = []
    children = Children(report=lambda _system, why, stderr: said.extend((why, stderr)))
    async with egress.client(connections=1) as http:
        try:
            asked = await children.get(http, command.name, command, ("", None))
            return await upstream.listed_tools(http, asked)
        except upstream.PartialList:
            raise
        except egress.Unreachable as why:
            if said:
                raise egress.Unreachable("The local server does not start.", problem=said[0], stderr=said[1]) from why
            raise
        finally:
            await children.close()
