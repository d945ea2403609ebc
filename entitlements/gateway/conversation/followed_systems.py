"""What is heard for the stream of a legacy client: its system, or at the address of all those that its session used."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final, Protocol

from entitlements import addresses
from entitlements import all_systems as prefixed
from entitlements.catalog.models import System
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.local_stream import Event, LocalStream
from entitlements.gateway.conversation.upstream_stream import Following
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed
from entitlements.upstream.upstream import Progress

MOST_SYSTEMS: Final = 20
"""Systems that one stream hears at the address of all."""
LOOK_SECONDS: Final = 2.0
"""How soon a stream hears a system that its session has begun to use, at whichever node."""
_USED: Final = """
SELECT y.slug FROM entitlements_upstreamsession u JOIN entitlements_system y ON y.id = u.system_id
WHERE u.client_session = %s AND u.ended_at IS NULL ORDER BY u.opened_at LIMIT %s
"""


class HearsSystems(Protocol):
    """Hears what a client's stream is to carry."""

    @property
    def ready(self) -> asyncio.Event:
        """Set when what is said from now on is heard, or cannot be."""

    async def follow(self) -> None:
        """Hear it for as long as the client listens."""


def choose(
    node: Node, about: CallDetails, entry: ServedSystem, session: ClientSession, event: Event, progress: Progress
) -> HearsSystems:
    """Return what hears the system of an address, or all systems; `event` sends the client a message."""
    if entry.slug == addresses.ALL:
        return SystemsInUse(node, about, session, event)
    if entry.command is not None:
        return LocalStream(node, about, entry, session, event)
    return Following(node, about, entry, session, event, progress)


async def in_use(node: Node, session: ClientSession) -> list[str]:
    """Return the systems at which a session holds something: one of the upstream's own, or local servers by a grant.

    Raises Closed.
    """
    used = [slug for (slug,) in await node.snapshots.query(_USED, [session.id, MOST_SYSTEMS])]
    return [*used, *await prefixed.slugs(node.reads(), session.agent, [System.Kind.STDIO])][:MOST_SYSTEMS]


@dataclass(slots=True)
class SystemsInUse:
    """One stream of a client at the address of all systems."""

    node: Node
    about: CallDetails
    session: ClientSession
    event: Event
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        """Hear each system that the session uses, from when it does, and for as long as its client may."""
        heard: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                with contextlib.suppress(Closed):
                    await self._look(heard)
                self.ready.set()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in heard.values():
                task.cancel()

    async def _look(self, heard: dict[str, asyncio.Task[None]]) -> None:
        allowed = {slug for slug in {*heard, *await in_use(self.node, self.session)} if await self._is_admitted(slug)}
        for slug in heard.keys() - allowed:
            heard.pop(slug).cancel()
        for slug in sorted(allowed - heard.keys())[: MOST_SYSTEMS - len(heard)]:
            heard[slug] = asyncio.create_task(self._follow(slug))

    async def _is_admitted(self, slug: str) -> bool:
        verdict, _ = await self.node.admits(self.about.bearer.asks(slug))
        return verdict.allowed

    async def _follow(self, slug: str) -> None:
        with contextlib.suppress(Closed):
            entry = await self.node.directory.get(slug)
            if entry is not None:
                about = CallDetails(self.about.bearer, slug, self.about.method, source=self.about.source)
                await choose(self.node, about, entry, self.session, self.event, Progress()).follow()
