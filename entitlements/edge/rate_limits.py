"""How often a client may ask: counted in this process, and reconciled with the other processes over Redis.

No request waits for Redis. What was counted here goes there twice a second, and what all have counted comes back.
While Redis is away a process counts for itself, with a quarter of the limit, since it cannot see the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

import redis
import redis.asyncio
from django.conf import settings

from entitlements.ratelimits import STRICTER, TOKENS, WINDOW, TooMany

EVERY: Final = 0.5
"""Seconds between two exchanges."""
AWAY: Final = 3.0
"""Seconds without an answer after which Redis counts as away."""
MOST_KEPT: Final = 10_000
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
        self._counts: dict[str, _Count] = {}
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
        most = settings.RATE_LIMITS[limit]
        if not most:  # the tests' word for none; the environment cannot say it
            return
        now = time.time()
        count = self._count(who, int(now // WINDOW))
        count.here += 1
        is_away = time.monotonic() - self._answered > AWAY
        if (count.here if is_away else count.now) > (max(1, most // STRICTER) if is_away else most):
            raise TooMany(int((self._window + 1) * WINDOW - now) + 1)

    def _count(self, who: str, window: int) -> _Count:
        if window != self._window:
            self._window, self._counts = window, {}
        if who not in self._counts and len(self._counts) >= MOST_KEPT:
            who = "*"  # too many at once: the rest are counted together
        return self._counts.setdefault(who, _Count())

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
        near = settings.RATE_LIMITS[TOKENS] // STRICTER  # of those far from the limit, only what is new
        due = {who: count for who, count in self._counts.items() if count.here > count.sent or count.now >= near}
        async with server.pipeline(transaction=False) as pipeline:
            numbers = {who: count.here - count.sent for who, count in due.items()}
            pipeline.ping()
            for who, number in numbers.items():
                key = f"rate:{TOKENS}:{window}:{who}"[:200]
                pipeline.incrby(key, number)
                pipeline.expire(key, 2 * WINDOW)
            answers = await pipeline.execute()
        for index, (who, number) in enumerate(numbers.items()):
            due[who].sent += number
            due[who].everywhere = int(answers[1 + 2 * index])
