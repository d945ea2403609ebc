"""How much work a process has under way at once: some in hand, some that wait for their turn, the rest turned away.

What is turned away comes back at its own moment (`RETRY_WITHIN`), so that a crowd that came at one instant does not
come at one instant again. Little's law sets the numbers: what is in hand is no longer than the process needs to keep
its connections to the database busy, since everything else that the process serves waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from .errors import DomainError

AT_ONCE: Final = 8
"""Requests in hand: two for each connection that writes (`edge/writer.py`)."""
MOST_WAITING: Final = 1_000
WAIT_WITHIN: Final = 2.0
"""Seconds until a turn: longer than that and a client would do better to ask again."""
RETRY_WITHIN: Final = 8
"""Seconds after which who was turned away comes back, at random."""


class Busy(DomainError):
    """More requests wait than can be answered soon. Wait, then try again."""

    code, status = "issuer_busy", HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self) -> None:
        self.wait = 1 + secrets.randbelow(RETRY_WITHIN)
        super().__init__(retry_after_seconds=self.wait)


@dataclass(slots=True)
class _Turn:
    """A turn of one request at a backlog, and whether it is held at this moment."""

    backlog: Backlog
    is_held: bool = True


_OWN: ContextVar[_Turn | None] = ContextVar("turn", default=None)


class Backlog:
    """Gives turns in the order in which they were asked for."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = MOST_WAITING, within: float = WAIT_WITHIN) -> None:
        self._free, self._room, self._within = at_once, waiting, within
        self._queue: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Work in one's turn. Raises Busy where too many wait already, and where the turn does not come in time."""
        await self.take()
        own = _Turn(self)
        before = _OWN.set(own)
        try:
            yield
        finally:
            _OWN.reset(before)
            if own.is_held:
                self.give_back()

    async def take(self) -> None:
        """Wait for a turn. Raises Busy."""
        if self._free:
            self._free -= 1
            return
        if not self._room:
            raise Busy
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        late = turn.get_loop().call_later(self._within, _turn_away, turn)
        self._queue.append(turn)
        self._room -= 1
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given in the same moment
                self.give_back()
            raise
        finally:
            self._room += 1
            late.cancel()

    def give_back(self) -> None:
        """Let the next one have the turn."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


@contextlib.asynccontextmanager
async def outside() -> AsyncIterator[None]:
    """Let others have one's turn meanwhile, as for a document of another server. Raises Busy where it comes back late.

    Who holds none at this moment gives none away.
    """
    own = _OWN.get()
    if own is None or not own.is_held:
        yield
        return
    own.is_held = False
    own.backlog.give_back()
    try:
        yield
    finally:
        await own.backlog.take()
        own.is_held = True


def _turn_away(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(Busy())
