"""Who hears what a child says: each call that waits for it, and each stream of its caller's clients."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, cast
from uuid import UUID

import aiohttp
import msgspec

from entitlements.upstream import sse

MOST_WAITING: Final = 64
"""Messages that wait for a client that reads slowly; what comes then is left out."""
KEEP_ALIVE_SECONDS: Final = 5.0
OFFERS: Final[dict[str, Any]] = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": True}}
"""What a child is greeted with that one caller alone has: all that is passed on. Its tools are approved once for all
clients, so they cannot follow from what one client offers; what that does not offer is refused in its stead."""
CAPABILITIES: Final = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""By each request of a server: what a client declares that takes it."""


class Origin(msgspec.Struct, frozen=True):
    """By what a message comes to a child: the session of a client, and what that client declared.

    `is_own`: it is no client's session but one stream's alone, whose subscriptions end with it.
    """

    session: UUID | None = None
    capabilities: dict[str, Any] = {}
    is_own: bool = False

    def offers(self, method: str) -> bool:
        """Whether the client declared that it can be asked this."""
        return CAPABILITIES.get(method) in self.capabilities


NO_SESSION: Final = Origin()


class Listener:
    """One call that waits, or one stream: what came for it. `token`: under which its client hears of progress."""

    def __init__(self, origin: Origin = NO_SESSION, token: object = None, *, is_stream: bool = False) -> None:
        self.origin, self.token, self._is_stream = origin, token, is_stream
        self._events: deque[bytes] = deque()
        self._is_over = False
        self._came = asyncio.Event()

    def put(self, line: bytes, *, is_last: bool = False) -> bool:
        """Hand on a message; returns whether there was room for it."""
        has_room = is_last or (len(self._events) < MOST_WAITING and not self._is_over)
        if has_room:
            self._events.append(sse.event(line))
        self._is_over |= is_last
        self._came.set()
        return has_room

    def end(self) -> None:
        """Say that there is nothing to come."""
        self._is_over = True
        self._came.set()

    async def readany(self) -> bytes:
        """Return the next event, on a silent stream a comment now and then; nothing when there is none to come."""
        while not self._events and not self._is_over:
            self._came.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS if self._is_stream else None):
                    await self._came.wait()
            except TimeoutError:
                return sse.KEEP_ALIVE
        return self._events.popleft() if self._events else b""

    def body(self) -> aiohttp.StreamReader:
        """Return what is read as the body of an answer is: all that a reader of events calls is `readany`."""
        return cast("aiohttp.StreamReader", self)
