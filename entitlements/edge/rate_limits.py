"""How often a client may ask, and for one person: counted in this process, and reconciled with the others over Redis.

No request waits for Redis. What was counted here goes there twice a second, and what all have counted comes back. A
count goes out once it is a hundredth of its limit: so thousands of clients that ask now and then cost no exchange.
While Redis is away a process counts for itself, with a quarter of the limit, since it cannot see the others.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import redis
import redis.asyncio

from entitlements import ratelimits
from entitlements.ratelimits import STRICTER, TOKENS, WINDOW, TooMany

EVERY: Final = 0.5
"""Seconds between two exchanges."""
AWAY: Final = 3.0
"""Seconds without an answer after which Redis counts as away."""
MOST_KEPT: Final = 50_000
"""Counts of one limit; those beyond are counted together."""
SHARE: Final = 100
"""A count that is smaller than its limit by this factor stays in the process."""
AT_ONCE: Final = 1_000
"""Counts that go out together: writing their commands holds up the requests of the process."""
_SLOWEST: Final = 0.5

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    here: int = 0
    """Counted in this process in this window."""
    sent: int = 0
    everywhere: int = 0
    """What all processes had counted when this one last sent."""

    @property
    def now(self) -> int:
        return self.everywhere + self.here - self.sent


class RateLimits:
    """Fixed windows of a minute for each client."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._window = 0
        self._counts: defaultdict[str, dict[str, _Count]] = defaultdict(dict)
        self._answered = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Exchange counts with the other processes from now on."""
        self._answered = time.monotonic()
        self._task = asyncio.create_task(self._exchange_always(), name="rate-limits")

    async def stop(self) -> None:
        """Exchange no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def check(self, who: str, limit: str = TOKENS) -> None:
        """Count one request of a client at the token endpoints, or of whom another limit is about. Raises TooMany."""
        most = ratelimits.most_of(limit)
        if not most:  # the tests' word for none; the environment cannot say it
            return
        now = time.time()
        count = self._count(limit, who, int(now // WINDOW))
        count.here += 1
        is_away = time.monotonic() - self._answered > AWAY
        if (count.here if is_away else count.now) > (max(1, most // STRICTER) if is_away else most):
            raise TooMany(ratelimits.wait(now))

    def _count(self, limit: str, who: str, window: int) -> _Count:
        if window != self._window:
            self._window, self._counts = window, defaultdict(dict)
        counts = self._counts[limit]
        if who not in counts and len(counts) >= MOST_KEPT:
            who = "*"  # too many at once: the rest are counted together
        if who not in counts:
            counts[who] = _Count()
        return counts[who]

    async def _exchange_always(self) -> None:
        async with redis.asyncio.Redis.from_url(
            self._address, socket_timeout=_SLOWEST, socket_connect_timeout=_SLOWEST
        ) as server:
            while True:
                try:
                    await self._exchange(server)
                    self._answered = time.monotonic()
                except (redis.RedisError, OSError, TimeoutError) as why:
                    logger.warning("rate_limits_are_local", extra={"error": type(why).__name__})
                await asyncio.sleep(EVERY)

    async def _exchange(self, server: Any) -> None:  # noqa: ANN401 - the client is generic in its answers
        window = self._window
        await server.ping()
        for due in itertools.batched(self._due(), AT_ONCE):
            async with server.pipeline(transaction=False) as pipeline:
                numbers = [count.here - count.sent for _, _, count in due]
                for (limit, who, _), number in zip(due, numbers, strict=True):
                    key = f"rate:{limit}:{window}:{who}"[:200]
                    pipeline.incrby(key, number)
                    pipeline.expire(key, 2 * WINDOW)
                answers = await pipeline.execute()
            for (_, _, count), number, answer in zip(due, numbers, answers[::2], strict=True):
                count.sent += number
                count.everywhere = int(answer)

    def _due(self) -> list[tuple[str, str, _Count]]:
        """Return the counts that go out: those that grew by their share, and those near their limit, to hear of it."""
        return [
            (limit, who, count)
            for limit, counts in self._counts.items()
            for most in (ratelimits.most_of(limit),)
            for who, count in counts.items()
            if count.here - count.sent >= max(1, most // SHARE) or count.now >= most // STRICTER
        ]
