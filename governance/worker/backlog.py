"""How far the queues are behind: what waits in each, and since when the oldest message does.

A message says when it was sent; Celery's own do not.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import redis
from django.conf import settings

from governance.worker import queues

SENT_AT: Final = "sent_at"
_WITHIN: Final = 0.5
"""Seconds that the queue has to answer."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one queue, and for how many seconds the oldest has waited: for ever if it does not say."""

    queue: str
    length: int
    seconds: float

    @property
    def is_behind(self) -> bool:
        """Whether the oldest has waited for longer than it may in this queue."""
        return not self.seconds <= queues.LATE_SECONDS[self.queue]  # NaN is behind


def stamp(headers: dict[str, Any]) -> None:
    """Write into a message when it is sent, by this machine's clock: nothing is decided by it."""
    headers[SENT_AT] = time.time()


def read() -> list[Backlog] | None:
    """Return what waits in each queue; None when they do not answer."""
    address = settings.REDIS_URL.reveal()
    try:
        with redis.Redis.from_url(address, socket_timeout=_WITHIN, socket_connect_timeout=_WITHIN) as server:
            waits = server.pipeline()
            for name in queues.ALL:
                waits.llen(name)
                waits.lindex(name, -1)
            found = waits.execute()
    except redis.RedisError:
        return None
    return [
        Backlog(name, length, _waited(oldest))
        for name, length, oldest in zip(queues.ALL, found[::2], found[1::2], strict=True)
    ]


def _waited(message: bytes | None) -> float:
    if message is None:
        return 0.0
    try:
        return max(time.time() - float(json.loads(message)["headers"][SENT_AT]), 0.0)  # NaN stays NaN
    except (ValueError, TypeError, KeyError, RecursionError):
        return inf
