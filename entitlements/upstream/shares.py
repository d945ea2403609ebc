"""What callers of the web process share, how much of it one of them may hold, and the way out of its threads.

A request that waits for a server elsewhere, or for a client that reads a long answer, leaves its place among the
threads to another request and goes on aside. So many may be aside, and so many of them wait for one host. Where no
thread of the web process waits (a node of the edge, a job) nothing here is bounded.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from entitlements import ratelimits

WAIT: Final = 5
"""Seconds after which who found a share used up may ask again."""


class TooManyAtOnce(ratelimits.TooMany):
    """You have too many requests under way. Wait until some of them are answered, then try again."""

    code, status = "too_many_at_once", HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, wait: int = WAIT) -> None:
        super().__init__(wait)


class Busy(ratelimits.TooMany):
    """The server does as much as it can at once. Try again in a few seconds."""

    code, status = "busy", HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, wait: int = WAIT) -> None:
        super().__init__(wait)


class CallerShare:
    """So much for all, and so much of it for each holder."""

    def __init__(self, in_all: int, each: int) -> None:
        self.in_all, self.each = in_all, each
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, holder: str, count: int = 1, *, beyond: bool = False) -> None:
        """Take some. Raises TooManyAtOnce where the holder would have too much, Busy where all would.

        What is there already, as an answer that was made, is taken `beyond` the bounds, and keeps the next from coming.
        """
        with self._lock:
            if not beyond and self._held[holder] + count > self.each:
                raise TooManyAtOnce
            if not beyond and self._held.total() + count > self.in_all:
                raise Busy
            self._held[holder] += count

    def give(self, holder: str, count: int = 1) -> None:
        """Give some back."""
        with self._lock:
            self._held[holder] -= count
            if not self._held[holder]:
                del self._held[holder]


FETCHES: Final = CallerShare(in_all=8, each=3)
"""Requests that wait for a server elsewhere, and how many of them for one host."""
SIGN_INS: Final = CallerShare(in_all=8, each=8)
"""Requests that wait for the company's sign-in: everybody's, which no fetch of others may keep out."""
LONG_ANSWERS: Final = CallerShare(in_all=4, each=1)
"""Long answers that clients read, and how many of them are one caller's."""
ASIDE: Final = CallerShare(in_all=FETCHES.in_all + SIGN_INS.in_all + LONG_ANSWERS.in_all, each=2)
"""Requests that left their thread's place to others and are not over yet, each in a thread on top of those."""


@dataclass(slots=True)
class Request:
    """One request in a thread of the web process: whom it counts for, and how it leaves its place to another."""

    caller: str
    leave: Callable[[], None]
    held: ExitStack = field(default_factory=ExitStack)
    """What it gives back when it is over."""
    is_aside: bool = False

    def take(self, share: CallerShare) -> None:
        """Take some of a share until the request is over, aside. Raises TooManyAtOnce, Busy."""
        share.take(self.caller)
        self.held.callback(share.give, self.caller)
        self.leave_place()

    def leave_place(self) -> None:
        """Leave the place among the threads to another request. The caller's own share of them stays taken."""
        if not self.is_aside:
            ASIDE.take(self.caller)
            self.held.callback(ASIDE.give, self.caller)
            self.is_aside = True
            self.leave()


_request: ContextVar[Request | None] = ContextVar("web_request", default=None)


@contextmanager
def acting(request: Request) -> Iterator[None]:
    """Answer a request in this thread for the length of a block."""
    token = _request.set(request)
    try:
        with request.held:
            yield
    finally:
        _request.reset(token)


def caller() -> str:
    """Return for whom a thread of the web process answers here; empty where none does."""
    request = _request.get()
    return "" if request is None else request.caller


@contextmanager
def outside(host: str, share: CallerShare = FETCHES) -> Iterator[None]:
    """Wait for a server elsewhere, aside. Raises Busy where too many do already."""
    request = _request.get()
    if request is None:
        yield
        return
    try:
        share.take(host)
    except TooManyAtOnce as why:  # it is the host's share, which others use up
        raise Busy from why
    try:
        request.leave_place()
        yield
    finally:
        share.give(host)
