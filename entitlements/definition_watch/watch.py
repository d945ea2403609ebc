"""What one node does so that a changed definition is noticed at once: it asks for comparisons, and listens to systems.

A comparison is asked for by a row, which a worker takes within a second. A system is listened to by one node at a time,
which holds it by a lease and lets go when it stops. Nothing here delays an answer, and nothing here carries a right.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol

from entitlements.upstream.upstream import Target

from . import listener

MOST: Final = 500
"""Systems that one node listens to."""
LISTING_SECONDS: Final = 10.0
"""After a comparison the lists that clients ask for cause no other one for so long."""
LEASE_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 5.0
AGAIN_SECONDS, UNHEARD_SECONDS, NOT_OFFERED_SECONDS = 5.0, 60.0, 900.0
"""When a system is listened to again that was, that could not be, and that offers no such stream."""
_AT_ONCE: Final = 50
_PAUSE: Final = 0.25
"""Seconds between two writes for one system, however often it says that its tools changed."""
_ASK: Final = """
INSERT INTO entitlements_definitionwatch AS w (system_id, asked_at)
SELECT y.id, clock_timestamp() FROM entitlements_system y WHERE y.slug = %s AND y.status = 'active'
ON CONFLICT (system_id) DO UPDATE SET asked_at = clock_timestamp()
WHERE w.asked_at IS NULL
  AND (w.compared_at IS NULL OR w.compared_at < clock_timestamp() - make_interval(secs => %s::float8))
RETURNING system_id
"""
_LEASE: Final = """
INSERT INTO entitlements_definitionwatch AS w (system_id, node, node_until)
SELECT y.id, %(node)s, clock_timestamp() + make_interval(secs => %(seconds)s::float8) FROM entitlements_system y
LEFT JOIN entitlements_definitionwatch d ON d.system_id = y.id
WHERE y.kind = 'mcp_gateway' AND y.status = 'active' AND y.upstream_url <> ''
  AND (d.system_id IS NULL
       OR ((d.node_until IS NULL OR d.node_until < clock_timestamp())
           AND (d.listen_again_at IS NULL OR d.listen_again_at < clock_timestamp())))
ORDER BY y.id LIMIT %(most)s
ON CONFLICT (system_id) DO UPDATE SET node = excluded.node, node_until = excluded.node_until
WHERE w.node_until IS NULL OR w.node_until < clock_timestamp()
RETURNING (SELECT y.slug FROM entitlements_system y WHERE y.id = w.system_id)
"""
_RENEW: Final = """
UPDATE entitlements_definitionwatch w SET node_until = clock_timestamp() + make_interval(secs => %s::float8)
FROM entitlements_system y
WHERE y.id = w.system_id AND w.node = %s AND y.slug = ANY(%s) AND y.status = 'active' RETURNING y.slug
"""
_LET_GO: Final = """
UPDATE entitlements_definitionwatch w
SET node = '', node_until = NULL, listen_again_at = clock_timestamp() + make_interval(secs => %s::float8)
FROM entitlements_system y WHERE y.id = w.system_id AND w.node = %s AND y.slug = ANY(%s) RETURNING y.slug
"""

logger = logging.getLogger(__name__)


class Served(Protocol):
    """A system that the node serves."""

    @property
    def target(self) -> Target:
        """Where it is."""


type Write = Callable[[str, Sequence[object] | dict[str, Any]], Awaitable[Sequence[Sequence[Any]]]]
"""Runs a statement that may be run twice."""


class DefinitionWatch:
    """The watch of one node. `write` and `find` raise `closed` where that cannot be done now."""

    def __init__(
        self,
        name: str,
        write: Write,
        find: Callable[[str], Awaitable[Served | None]],
        dial: Callable[[str, str], Awaitable[socket.socket]],
        closed: type[Exception],
    ) -> None:
        self._name, self._write, self._find, self._dial, self._closed = name, write, find, dial, closed
        self._listed: dict[str, float] = {}
        self._asking: set[str] = set()
        self._again: set[str] = set()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._targets: dict[str, Target] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._next_lease = 0.0

    def listed(self, system: str) -> None:
        """Note that a client listed the tools of a system: have them compared, unless that was just done."""
        now = time.monotonic()
        if now - self._listed.get(system, -LISTING_SECONDS) >= LISTING_SECONDS:
            self._listed[system] = now
            self._run(self._ask(system, LISTING_SECONDS))

    def changed(self, system: str) -> None:
        """Note that a system says that its tools changed: have them compared now."""
        if system in self._asking:
            self._again.add(system)
        else:
            self._asking.add(system)
            self._run(self._ask_now(system))

    def sweep(self) -> None:
        """Every second: keep the leases, and take others that no node holds."""
        if time.monotonic() >= self._next_lease:
            self._next_lease = time.monotonic() + RENEW_SECONDS
            self._run(self._lease())

    def follow(self, system: str | None) -> None:
        """Begin anew with a system that changed, or with each, whose address, credential or network is another."""
        for slug in list(self._targets) if system is None else [system]:
            if slug in self._targets:
                self._run(self._follow(slug))

    async def close(self) -> None:
        """Stop listening, and let other nodes take over at once."""
        held = list(self._listening)
        tasks = [*self._listening.values(), *self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if held:
            with contextlib.suppress(self._closed):
                await self._write(_LET_GO, [0.0, self._name, held])

    async def _ask(self, system: str, after: float) -> None:
        with contextlib.suppress(self._closed):
            await self._write(_ASK, [system, after])

    async def _ask_now(self, system: str) -> None:
        """Ask once for all that is said meanwhile, and once more where something was said after that."""
        try:
            while True:
                self._again.discard(system)
                await self._ask(system, 0.0)
                await asyncio.sleep(_PAUSE)
                if system not in self._again:
                    return
        finally:
            self._asking.discard(system)

    async def _follow(self, system: str) -> None:
        entry = None
        with contextlib.suppress(self._closed):
            entry = await self._find(system)
        target = self._targets.get(system)
        if system in self._listening and (entry is None or entry.target != target):
            self._listening[system].cancel()

    async def _lease(self) -> None:
        with contextlib.suppress(self._closed):
            held = list(self._listening)
            if held:
                kept = {slug for (slug,) in await self._write(_RENEW, [LEASE_SECONDS, self._name, held])}
                for slug in set(held) - kept:
                    self._listening[slug].cancel()
            if (room := min(MOST - len(held), _AT_ONCE)) > 0:
                asked = {"node": self._name, "seconds": LEASE_SECONDS, "most": room}
                for (slug,) in await self._write(_LEASE, asked):
                    self._listen(slug)

    def _listen(self, system: str) -> None:
        if system not in self._listening:
            task = self._listening[system] = asyncio.create_task(self._hear(system))
            task.add_done_callback(lambda _: self._listening.pop(system, None))

    async def _hear(self, system: str) -> None:
        """Listen to a system once, and let go of it. Where it is cancelled another node has it, or will take it."""
        after = NOT_OFFERED_SECONDS
        try:
            entry = await self._find(system)
            if entry is not None and not entry.target.needs_account:
                self._targets[system] = entry.target

                def begun() -> None:
                    nonlocal after
                    after = AGAIN_SECONDS
                    self.changed(system)

                await listener.listen(entry.target, partial(self._dial, system), begun, partial(self.changed, system))
        except listener.NotOffered:
            pass
        except (*listener.UNHEARD, self._closed) as why:
            after = min(after, UNHEARD_SECONDS)
            logger.info("system_not_heard", extra={"system": system, "why": type(why).__name__})
        except asyncio.CancelledError:
            after = 0.0
            raise
        finally:
            self._targets.pop(system, None)
            with contextlib.suppress(self._closed):
                await self._write(_LET_GO, [after, self._name, [system]])

    def _run(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
