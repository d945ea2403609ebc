"""How often a caller may ask: fixed windows counted in Redis, and a stricter count of our own while Redis is away.

A limit is never authority: it slows down, and nothing is allowed because a count is low. Each process counts for itself
when Redis does not answer, with a quarter of the limit, since it cannot see the others.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import redis
from django.conf import settings

from .errors import DomainError

TOKENS: Final = "tokens"
"""Requests of one client at the token endpoints."""
API: Final = "api"
"""Requests of one caller at the REST API."""
REGISTRATIONS: Final = "registrations"
"""Registrations of clients from one source."""
PERSON: Final = "person"
"""Requests of one client for one person at the token endpoints."""
PERSON_AT_ALL: Final = "person_at_all"
"""Requests of all clients for one person there."""
PAGES: Final = "pages"
"""Pages of one person in the console."""
CLIENTS_AT_LEAST: Final = 5
"""How many clients, each at its limit, it takes to use up the limit of a person: so none shuts out the others alone."""
WINDOW: Final = 60
SPREAD: Final = 10
"""Seconds over which those come back who were turned away in the same window."""
STRICTER: Final = 4
AWAY: Final = 1.0
"""For so many seconds after it did not answer, Redis is not asked again."""
_MOST_KEPT: Final = 10_000
_SLOWEST: Final = 0.2

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_counts: dict[tuple[str, str, int], int] = {}
_clients: dict[str, redis.Redis] = {}
_asked_again_at: list[float] = [0.0]


class TooMany(DomainError):
    """Too many requests. Wait, then try again."""

    code, status = "rate_limited", HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, wait: int) -> None:
        super().__init__(retry_after_seconds=wait)
        self.wait = wait


def most_of(limit: str) -> int:
    """Return how many requests a minute a limit allows; 0 for any number, which only tests can set."""
    if limit == PERSON_AT_ALL:
        return CLIENTS_AT_LEAST * int(settings.RATE_LIMITS[PERSON])
    return int(settings.RATE_LIMITS[limit])


def wait(now: float) -> int:
    """Return the seconds to wait for who is over a limit at a Unix time: to the next window, and up to SPREAD more.

    The part at random keeps those who were turned away together from coming back together.
    """
    return int(WINDOW - now % WINDOW) + 1 + secrets.randbelow(SPREAD)


def check(limit: str, who: str) -> None:
    """Count one request of `who` against a limit of `settings.RATE_LIMITS` (a minute). Raises TooMany."""
    most = most_of(limit)
    if not most:  # the tests' word for none; the environment cannot say it
        return
    now = time.time()
    window = int(now // WINDOW)
    count = _shared(limit, who, window)
    if count is None:
        count, most = _own(limit, who, window), max(1, most // STRICTER)
    if count > most:
        raise TooMany(wait(now))


def _shared(limit: str, who: str, window: int) -> int | None:
    """Count in Redis; None when it does not answer."""
    key = f"rate:{limit}:{window}:{who}"[:200]

    def count(server: redis.Redis) -> int:
        with server.pipeline(transaction=False) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * WINDOW)
            answers: list[Any] = pipeline.execute()
        return int(answers[0])

    return shared(count)


def shared[T](ask: Callable[[redis.Redis], T]) -> T | None:
    """Return what Redis answers; None when it does not, or did not a moment ago."""
    if time.monotonic() < _asked_again_at[0]:
        return None
    try:
        return ask(_client())
    except redis.RedisError as why:
        _asked_again_at[0] = time.monotonic() + AWAY
        logger.warning("rate_limits_are_local", extra={"error": type(why).__name__})
        return None


def _own(limit: str, who: str, window: int) -> int:
    """Count in this process. When it is asked about too many at once it forgets none and counts the rest together."""
    with _lock:
        for stale in [key for key in _counts if key[2] < window] if len(_counts) >= _MOST_KEPT else ():
            del _counts[stale]
        key = (limit, who, window)
        if key not in _counts and len(_counts) >= _MOST_KEPT:
            key = (limit, "*", window)
        _counts[key] = _counts.get(key, 0) + 1
        return _counts[key]


def _client() -> redis.Redis:
    address = settings.REDIS_URL.reveal()
    if address not in _clients:
        _clients[address] = redis.Redis.from_url(
            address, socket_timeout=_SLOWEST, socket_connect_timeout=_SLOWEST, retry=None
        )
    return _clients[address]
