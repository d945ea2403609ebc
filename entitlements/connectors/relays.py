"""The connectors that are connected to this node: who is let in, by which one a system is reached, when one is cut."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb

from entitlements.errors import DomainError
from entitlements.strict import known_uuid
from entitlements.upstream import reach, upstream
from entitlements.upstream.relayed import NoConnector

from . import proof, streams
from .streams import Link

OPEN_SECONDS: Final = 4.0
"""Seconds for one connector to reach the host; then the other one is asked."""
SEEN_SECONDS: Final = 30.0
"""Seconds between two notes of which connectors are connected."""
_LISTED: Final = """
SELECT c.id, c.public_key FROM entitlements_connector c JOIN entitlements_system y ON y.id = c.system_id
WHERE y.slug = %s AND c.state = 'active'
"""
_NODES: Final = """
SELECT n.id FROM entitlements_gatewaynode n
WHERE n.relays AND n.stopped_at IS NULL AND n.polled_at > clock_timestamp() - interval '10 seconds' ORDER BY n.id
"""
_RELAYS: Final = "UPDATE entitlements_gatewaynode SET relays = true WHERE id = %s RETURNING id"
_SEEN: Final = """
UPDATE entitlements_connector SET seen_at = clock_timestamp(), nodes = jsonb_build_object(%s::text, clock_timestamp())
|| (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each_text(nodes) e
    WHERE e.key <> %s AND e.value::timestamptz > clock_timestamp() - interval '2 minutes')
WHERE id = ANY(%s)
"""
_GONE: Final = "UPDATE entitlements_connector SET nodes = nodes - %s::text WHERE id = %s"
_TAKE: Final = """
UPDATE entitlements_relayeddiscovery r SET node = %s FROM entitlements_system y
WHERE y.id = r.system_id AND y.slug = ANY(%s) AND r.node = '' AND r.asked_at > clock_timestamp() - interval '1 minute'
RETURNING r.id, y.slug
"""
_ANSWER: Final = """
UPDATE entitlements_relayeddiscovery SET answered_at = clock_timestamp(), tools = %s, is_whole = %s, problem = %s
WHERE id = %s
"""

logger = logging.getLogger(__name__)


class Served(Protocol):
    """A system that the node serves."""

    @property
    def target(self) -> upstream.Target:
        """Where it is."""


type Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a node reads and writes about connectors: each raises `closed` where that cannot be done now.

    What `write` is given may be run twice.
    """

    read: Callable[[str, Sequence[object]], Awaitable[Rows]]
    write: Callable[[str, Sequence[object]], Awaitable[Rows]]
    system: Callable[[str], Awaitable[Served | None]]
    closed: type[Exception]


@dataclass(slots=True, eq=False)
class Held:
    """A connector that is connected: its link, and the end of it, with a word for the other side."""

    connector: UUID
    link: Link
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    word: str = ""

    def cut(self, word: str) -> None:
        """End the link and all that it carries, now."""
        self.word = self.word or word
        self.link.close()
        self.ended.set()


class Relays:
    """The links of this node, by system and connector."""

    def __init__(self, name: str, facts: Facts) -> None:
        self._name, self._facts = name, facts
        self._links: dict[str, dict[UUID, Held]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_announced = False
        self._noted_at = time.monotonic()

    async def is_proven(self, system: str, connector: str, signature: str, nonce: str) -> UUID | None:
        """Return the connector of a system that signed for this node and nonce; None for all else. Raises Closed."""
        key = known_uuid(connector)
        if key is None:
            return None
        public = (await self._listed(system)).get(key, "")
        named = {"connector": str(key), "system": system, "node": self._name, "nonce": nonce}
        return key if public and proof.is_signed(public, signature, **named) else None

    async def hold(self, system: str, held: Held) -> bool:
        """Take a proven connector in, in the place of an older link of it; False where it was revoked meanwhile."""
        of_system = self._links.setdefault(system, {})
        if (older := of_system.get(held.connector)) is not None:
            older.cut("replaced")
        of_system[held.connector] = held
        await self._follow(system)
        if held.ended.is_set():
            return False
        with contextlib.suppress(self._facts.closed):
            await self._facts.write(_SEEN, [self._name, self._name, [held.connector]])
        logger.info("connector_connected", extra={"system": system, "connector": str(held.connector)})
        return True

    async def leave(self, system: str, held: Held) -> None:
        """Let a link go that is over."""
        held.cut("ended")
        if self._links.get(system, {}).get(held.connector) is held:
            del self._links[system][held.connector]
            logger.info("connector_gone", extra={"system": system, "connector": str(held.connector)})
            with contextlib.suppress(self._facts.closed):
                await self._facts.write(_GONE, [self._name, held.connector])
        if not self._links.get(system, True):
            del self._links[system]

    async def nodes(self) -> list[str]:
        """Return the names of the nodes that connectors connect to. Raises Closed."""
        return [name for (name,) in await self._facts.read(_NODES, ())]

    async def dial(self, system: str, target: str) -> socket.socket:
        """Open a relayed connection to a `host:port`, by whichever connector of the system reaches it.

        Raises NoConnector, streams.Refused, streams.BrokenLink, TimeoutError.
        """
        why: Exception = NoConnector()
        held = list(self._links.get(system, {}).values())
        secrets.SystemRandom().shuffle(held)
        for each in sorted(held, key=lambda one: len(one.link)):
            try:
                async with asyncio.timeout(OPEN_SECONDS):
                    stream = await each.link.open(target)
            except (ConnectionError, TimeoutError) as error:
                why = error
                continue
            return await self._joined(stream)
        raise why

    async def _joined(self, stream: streams.Stream) -> socket.socket:
        """Return a socket whose other end is carried over a stream."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)  # noqa: FBT003 - the library's
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        self._run(streams.relay(stream, reader, writer))
        return theirs

    def follow(self, system: str | None) -> None:
        """Look at the connectors of a system that changed, or of all: those that were revoked are cut at once."""
        for slug in list(self._links) if system is None else [system]:
            if slug in self._links:
                self._run(self._follow(slug))

    async def _follow(self, system: str) -> None:
        """Cut what is not active any more, or is not known to be."""
        active: dict[UUID, str] = {}
        word = "not_known"
        with contextlib.suppress(self._facts.closed):
            active, word = await self._listed(system), "revoked"
        for key, held in list(self._links.get(system, {}).items()):
            if key not in active:
                held.cut(word)

    def sweep(self) -> None:
        """Every second: do what workers ask; now and then, note who is connected."""
        if not self._is_announced:
            self._run(self._announce())
        if not self._links:
            return
        self._run(self._take())
        if time.monotonic() - self._noted_at > SEEN_SECONDS:
            self._noted_at = time.monotonic()
            self._run(self._note())

    async def close(self) -> None:
        """Cut every link."""
        for held in [held for links in self._links.values() for held in links.values()]:
            held.cut("node_stops")
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)

    async def _listed(self, system: str) -> dict[UUID, str]:
        rows = await self._facts.read(_LISTED, [system])
        return {row[0]: row[1] for row in rows}

    async def _announce(self) -> None:
        with contextlib.suppress(self._facts.closed):
            self._is_announced = bool(await self._facts.write(_RELAYS, [self._name]))

    async def _note(self) -> None:
        with contextlib.suppress(self._facts.closed):
            connected = [key for links in self._links.values() for key in links]
            await self._facts.write(_SEEN, [self._name, self._name, connected])

    async def _take(self) -> None:
        with contextlib.suppress(self._facts.closed):
            for asked, system in await self._facts.write(_TAKE, [self._name, list(self._links)]):
                self._run(self._discover(asked, system))

    async def _discover(self, asked: UUID, system: str) -> None:
        """Ask a system for its tools in a worker's stead."""
        tools: list[dict[str, Any]] = []
        is_whole, problem = True, reach.Stage.CONNECTING.value
        try:
            if (served := await self._facts.system(system)) is not None:
                tools = await upstream.tools(served.target, lambda pair: self.dial(system, pair))
                problem = ""
        except upstream.PartialList as partial:
            tools, is_whole, problem = partial.listed, False, ""
        except DomainError as why:
            problem = reach.stage(why).value
        except self._facts.closed:
            pass
        with contextlib.suppress(self._facts.closed):
            await self._facts.write(_ANSWER, [Jsonb(tools), is_whole, problem, asked])

    def _run(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
