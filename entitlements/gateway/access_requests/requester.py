"""What the tool `request_access` asks of the floor above: what can be requested, and a request submitted.

The floor above answers on connections of its own, in a thread: the event loop of a node waits for no console.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from entitlements.codes import Code
from entitlements.hooks import Hook
from entitlements.node.refusals import Refused

SECONDS: Final = 10.0
"""How long a caller waits for the answer. A statement of it ends sooner (`governance/request_access/answer.py`)."""
RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Requester:
    """Who calls: an agent at a client, for a person, in a session; and the trace that a request goes on with."""

    agent: str
    client: str
    person: str
    session: str = ""
    trace: str = ""
    request_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: without an entitlement, what can be requested. `lasts` is an ISO 8601 duration, empty for ours."""

    entitlement: str = ""
    reason: str = ""
    lasts: str = ""
    tools: tuple[str, ...] | None = None
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """The answer: in plain words, as data, and the request that it is about, if any."""

    text: str
    data: dict[str, Any]
    request: str = ""


ANSWER: Final[Hook[[Requester, Sequence[str], Ask], AccessAnswer]] = Hook("answer request_access", "requests")
"""Answers about systems, by their slugs. Raises DomainError where a request is refused."""


class WorkQueue:
    """Runs work in a few threads: one piece at a time for each caller, and so many callers at once."""

    def __init__(self, threads: int, most: int) -> None:
        """Take how many threads work, and how many callers may be waited for."""
        self._pool = ThreadPoolExecutor(threads, "request-access")
        self._most = most
        self._at_work: set[Hashable] = set()

    async def run[T](self, caller: Hashable, work: Callable[[], T], seconds: float = SECONDS) -> T:
        """Return what the work returns. Raises Refused where there is no room, TimeoutError, and what it raises.

        Work that takes too long keeps its place until it is over, so that what is slow is not asked for more.
        """
        if caller in self._at_work or len(self._at_work) >= self._most:
            raise Refused(Code.RATE_LIMITED, "Too many requests for access at once.", retry_after=RETRY_SECONDS)
        self._at_work.add(caller)
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(lambda done: self._finish(caller, done))
        return await asyncio.wait_for(asyncio.shield(future), seconds)

    def _finish(self, caller: Hashable, done: asyncio.Future[Any]) -> None:
        self._at_work.discard(caller)
        if not done.cancelled():
            done.exception()  # the caller may have gone by now


QUEUE: Final = WorkQueue(2, 10)
"""The queue of this process."""
