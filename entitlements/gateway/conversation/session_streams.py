"""What is heard for the stream of a legacy client: its system, or at the address of all those that its session used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from entitlements import addresses
from entitlements import all_systems as prefixed
from entitlements.catalog.models import System
from entitlements.gateway.conversation import upstream_stream
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.local_stream import LocalStream
from entitlements.gateway.http import Request
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed
from entitlements.upstream import sse

MOST_SYSTEMS: Final = 20
"""Systems that one stream hears at the address of all."""
LOOK_SECONDS: Final = 2.0
"""How soon a stream hears a system that its session has begun to use, at whichever node."""
_USED: Final = """
SELECT y.slug FROM entitlements_upstreamsession u JOIN entitlements_system y ON y.id = u.system_id
WHERE u.client_session = %s AND u.ended_at IS NULL ORDER BY u.opened_at LIMIT %s
"""


def follow(
    node: Node, about: CallDetails, entry: ServedSystem, session: ClientSession, request: Request
) -> Coroutine[Any, Any, None]:
    """Hear what a client's stream is to carry, for as long as the client listens."""
    if entry.slug == addresses.ALL:
        return SystemsInUse(node, about, session, request).follow()
    if entry.command is None:
        return upstream_stream.Following(node, about, entry, session, request).follow()

    async def hand_on(message: bytes) -> None:
        await request.send({"type": "http.response.body", "body": sse.event(message), "more_body": True})

    return LocalStream(node, about, entry, session, hand_on).follow()


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
    request: Request

    async def follow(self) -> None:
        """Hear each system that the session uses, from when it does, and for as long as its client may."""
        heard: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                with contextlib.suppress(Closed):
                    await self._look(heard)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in heard.values():
                task.cancel()

    async def _look(self, heard: dict[str, asyncio.Task[None]]) -> None:
        for slug in await in_use(self.node, self.session):
            if slug not in heard and len(heard) < MOST_SYSTEMS:
                heard[slug] = asyncio.create_task(self._follow(slug))
        for slug in list(heard):
            verdict, _ = await self.node.admits(self.about.bearer.asks(slug))
            if not verdict.allowed:
                heard.pop(slug).cancel()

    async def _follow(self, slug: str) -> None:
        with contextlib.suppress(Closed):
            entry = await self.node.directory.get(slug)
            if entry is not None:
                about = CallDetails(self.about.bearer, slug, self.about.method, source=self.about.source)
                await follow(self.node, about, entry, self.session, self.request)
