"""Who of those that wait has a thread of the web process next: callers take turns, and each has its share."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Final, NamedTuple

from entitlements.upstream.shares import Busy

THREADS: Final = 4
"""Threads that answer any request."""
KEPT: Final = 2
"""Threads more, for requests of people and programs that have signed in."""
EACH: Final = 2
"""Threads of one caller."""
MOST_WAITING: Final = 500
"""Requests of strangers that wait for a thread; the next ones are answered 503 at once."""


class Caller(NamedTuple):
    """For whom a request counts: a person or program that has signed in, by its principal, or else a source."""

    name: str
    is_known: bool


class AnswerPlaces:
    """The threads that answer, and the lines before them: one for each caller. Used by one event loop."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._busy = self._busy_for_strangers = self._strangers_waiting = 0
        self._own: Counter[Caller] = Counter()
        self._lines: OrderedDict[Caller, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: Caller) -> None:
        """Wait for a thread. Raises Busy where too many strangers wait."""
        if caller not in self._lines and self._may(caller):
            self._note(caller, 1)
            self._own[caller] += 1
            return
        if not caller.is_known and self._strangers_waiting >= self._most_waiting:
            raise Busy
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(turn)
        self._strangers_waiting += not caller.is_known
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came in the same moment
                self.leave(caller)
                self.end(caller)
            raise
        finally:
            self._strangers_waiting -= not caller.is_known

    def leave(self, caller: Caller) -> None:
        """Leave the thread's place to others; the request itself may go on aside (`shares.Request`)."""
        self._note(caller, -1)
        self._go_on()

    def end(self, caller: Caller) -> None:
        """Give the caller's own share back: the request is over."""
        self._own[caller] -= 1
        if not self._own[caller]:
            del self._own[caller]
        self._go_on()

    def _may(self, caller: Caller) -> bool:
        is_room = caller.is_known or self._busy_for_strangers < THREADS
        return is_room and self._busy < THREADS + KEPT and self._own[caller] < EACH

    def _note(self, caller: Caller, change: int) -> None:
        self._busy += change
        if not caller.is_known:
            self._busy_for_strangers += change

    def _go_on(self) -> None:
        """Give the threads that are free to the lines in turn."""
        for caller in [*self._lines]:
            while caller in self._lines and self._may(caller):
                line = self._lines.pop(caller)
                turn = line.popleft()
                if line:
                    self._lines[caller] = line  # behind the others
                if not turn.done():
                    self._note(caller, 1)
                    self._own[caller] += 1
                    turn.set_result(None)
                    break
