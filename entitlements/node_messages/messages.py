"""Messages for a stream or a call that another node holds: a row, and a wake-up without authority.

A box is a random UUID that stands, sealed, in what a client brings back. Its messages are sealed by the keys of client
sessions and bound to the box, so nothing that is written beside us opens. A wake-up names the box alone: a program that
may write to the channel makes a node read the table, which it would do a little later anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from entitlements.decisions.reads import Reads
from entitlements.keys import session_keys
from entitlements.node_feed.feed import CANCELLATIONS
from entitlements.strict import known_uuid

PURPOSE: Final = "node-message"
NOTICE: Final = "box "
"""How a wake-up begins, on the channel of cancellations."""
LOOK_AGAIN_SECONDS: Final = 2.0
"""How long a reader waits for a wake-up: one may be lost, a row is not."""
MOST_MESSAGES: Final = 1000
"""In one box."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""In one box, as sealed."""
_TRIES: Final = 5
_PUT: Final = f"""
WITH box AS (
    SELECT count(*) AS messages, coalesce(sum(size), 0) AS bytes, coalesce(max(number), 0) AS last
    FROM entitlements_nodemessage WHERE box = %(box)s::uuid
), kept AS (
    INSERT INTO entitlements_nodemessage (id, box, number, sealed, size, expires_at)
    SELECT %(id)s::uuid, %(box)s::uuid, last + 1, %(sealed)s::text, %(size)s::int,
        clock_timestamp() + %(seconds)s::float8 * interval '1 second'
    FROM box WHERE messages < {MOST_MESSAGES} AND bytes + %(size)s::int <= {MOST_BYTES}
    ON CONFLICT DO NOTHING RETURNING number
)
SELECT number, pg_notify('{CANCELLATIONS}', %(notice)s::text)::text FROM kept
UNION ALL SELECT number, NULL FROM entitlements_nodemessage WHERE id = %(id)s::uuid
UNION ALL SELECT 0, NULL FROM box WHERE messages >= {MOST_MESSAGES} OR bytes + %(size)s::int > {MOST_BYTES}
LIMIT 1
"""  # noqa: S608 - constants of this module
_AT_ONCE: Final = 100
_READ: Final = f"""
SELECT number, sealed FROM entitlements_nodemessage
WHERE box = %s AND number > %s AND expires_at > clock_timestamp() ORDER BY number LIMIT {_AT_ONCE}
"""  # noqa: S608 - a constant of this module

type Run = Callable[[str, Any], Awaitable[Sequence[tuple[Any, ...]]]]
"""Runs a statement that may be run twice; raises Closed."""


class BoxFull(Exception):
    """A box holds as many messages, or bytes, as one may."""


class NodeMessages:
    """The messages that this node writes and waits for."""

    def __init__(self, write: Run, query: Run, reads: Callable[[], Reads]) -> None:
        self._write, self._query, self._reads = write, query, reads
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    async def put(self, box: UUID, body: bytes, seconds: float) -> int:
        """Keep a message for `seconds` and return its number. Raises BoxFull, KeyMissing, Closed."""
        sealed = await session_keys.sealed(self._reads(), body, purpose=_purpose(box))
        values = {"id": uuid4(), "box": box, "sealed": sealed, "size": len(sealed), "seconds": seconds}
        for _ in range(_TRIES):  # another writer may have taken the number
            rows = await self._write(_PUT, {**values, "notice": f"{NOTICE}{box}"})
            if rows and not rows[0][0]:
                raise BoxFull
            if rows:
                self.wake(box)
                return int(rows[0][0])
        raise BoxFull

    async def read(self, box: UUID, after: int = 0) -> list[tuple[int, bytes]]:
        """Return the messages of a box after a number, in order, at most a hundred. Raises Closed.

        Reading ends before a message that we did not seal for this box.
        """
        found = []
        for number, sealed in await self._query(_READ, [box, after]):
            try:
                found.append((number, await session_keys.opened(self._reads(), sealed, purpose=_purpose(box))))
            except session_keys.NotOurs:
                break
        return found

    async def follow(self, box: UUID, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the messages of a box as they come, for as long as the caller wants. Raises Closed."""
        woken = asyncio.Event()
        waiting = self._waiting.setdefault(box, set())
        waiting.add(woken)
        try:
            while True:
                woken.clear()
                for number, body in (found := await self.read(box, after)):
                    after = number
                    yield number, body
                if len(found) == _AT_ONCE:
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                        await woken.wait()
        finally:
            waiting.discard(woken)
            if not waiting and self._waiting.get(box) is waiting:
                del self._waiting[box]

    def hear(self, notice: str) -> bool:
        """Take a wake-up of another node; say whether the notice is one."""
        if not notice.startswith(NOTICE):
            return False
        if (box := known_uuid(notice.removeprefix(NOTICE))) is not None:
            self.wake(box)
        return True

    def wake(self, box: UUID) -> None:
        """Have each reader that waits here for a box look into it."""
        for woken in self._waiting.get(box, ()):
            woken.set()


def _purpose(box: UUID) -> str:
    return f"{PURPOSE}:{box}"
