"""A node's place in the change feed: read every change, apply it, then say so; and the lease that rests on it.

Where several worker processes share a host, one listener reads for all of them: see `host_feed.py`.

A notification wakes the reader, and every half second it reads anyway. A change is acknowledged only after it was
applied, and the lease counts from the *beginning* of the last poll that succeeded, so a node that is cut off stops
serving by itself.

Notifications need a connection of its own to the server (FEED_DATABASE_URL). Through a pooler that lends connections
by transaction they do not arrive: the node then only polls, which is as safe and up to half a second slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import conninfo

from audit import clock
from entitlements.feed.changes import CHANNEL
from entitlements.feed.subjects import DRILL_KIND

from . import change
from .change import Change
from .history import History
from .lease import NEVER, Acknowledged, Lease

POLL_SECONDS: Final = 0.5
POLL_WITHIN: Final = 1.5
RETRY_SECONDS: Final = 0.2
CANCELLATIONS: Final = "mandate_cancelled_calls"
"""The channel by which a node hands over a client's wish to cancel a call that another node carries."""
HEAR_WITHIN: Final = 0.3
"""Seconds that a notification of our own may take."""
MOST_ROWS: Final = 20_000

_ACKNOWLEDGE: Final = """
SELECT acknowledge_v1(node, started, position)
FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[]) AS of_node (node, started, position)
"""
_STOP: Final = "SELECT stop_node_v1(node) FROM unnest(%s::text[]) AS node"
_SESSION: Final[dict[str, Any]] = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 2000,
    "connect_timeout": 2,
    "application_name": "mandate-feed",
}
_DEAF: Final = (
    "The feed's connection goes through a pooler that delivers no notifications. Set FEED_DATABASE_URL to the address"
    " of PostgreSQL itself; until then this node looks for changes every 500 ms."
)
ELSEWHERE: Final = (
    "What this node writes over FEED_DATABASE_URL does not appear over DATABASE_URL. Both must lead to the same"
    " database; this node refuses all calls until they do."
)

logger = logging.getLogger(__name__)


class OtherDatabase(OSError):
    """The feed follows another database than the one that decisions and events use."""


class Feed(Lease):
    """Follows the feed for one node. `apply` gets the changes of one poll in order, or None: forget everything.

    `confirms`, where given, says whether the readers see this node's acknowledgement of that moment. It is asked once a
    connection, before the first lease. `cancelled` gets what other nodes hand over.
    """

    def __init__(
        self,
        address: str,
        node: str,
        apply: Callable[[Sequence[Change] | None], None],
        confirms: Callable[[datetime], Awaitable[bool]] | None = None,
        cancelled: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(node)
        self._confirms = confirms
        self._cancelled = cancelled
        self._is_confirmed = False
        self._address = conninfo.make_conninfo(address, **_SESSION)
        dead_hosts = str(conninfo.conninfo_to_dict(address).get("host", "")).count(",")
        self._connect_within = POLL_WITHIN + 1 + dead_hosts * float(_SESSION["connect_timeout"])
        self._apply = apply
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._is_placed = False
        self._history = History()
        self._started: datetime | None = None
        self._acknowledged = Acknowledged()
        self._task: asyncio.Task[None] | None = None
        self._given_up: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take a place in the feed, if the database answers, and follow it from now on."""
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            await self._connect()
            await self._in_time(self._poll())
        self._task = asyncio.create_task(self._follow(), name="change-feed")

    async def stop(self) -> None:
        """Stop serving at once, and note that revocations need not wait for this node any more."""
        self._polled = NEVER
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            async with asyncio.timeout(POLL_WITHIN):
                if self._connection is None or self._connection.closed:
                    await self._connect()
                assert self._connection is not None  # noqa: S101 - for the type checker: _connect has just set it
                await self._note_stopped(self._connection, self._nodes())
        await self._disconnect()

    def _nodes(self) -> list[str]:
        """Name those whom revocations need not wait for once this has stopped."""
        return [self.node]

    async def _follow(self) -> None:
        while True:
            try:
                if self._connection is None:
                    await self._connect()
                await self._in_time(self._poll())
                await self._wait()
            except (psycopg.Error, OSError, TimeoutError) as why:
                logger.warning("feed_lost", extra={"node": self.node, "error": repr(why)})
                await self._begin_again()
            except Exception:
                logger.exception("feed_lost", extra={"node": self.node})
                self._is_placed = False  # what it was about to apply may be applied in part
                await self._begin_again()

    async def _begin_again(self) -> None:
        await self._disconnect()
        await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> None:
        async with asyncio.timeout(self._connect_within):
            self._connection = connection = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
            self._is_confirmed = self._confirms is None
            self.is_listening = await self._hears(connection)
            if self.is_listening:
                await connection.execute(f"LISTEN {CHANNEL}")
                await connection.execute(f"LISTEN {CANCELLATIONS}")
            else:
                logger.warning("feed_is_deaf", extra={"node": self.node, "error": _DEAF})

    async def _hears(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Say whether notifications reach this connection.

        On a connection to PostgreSQL itself they do. Where another server process answers than the one that the
        connection names, a pooler stands between: then a notification from a second connection must arrive while this
        one is idle. Its channel is of this attempt alone, since a pooler lends the connection that listens to others.
        """
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        if row is not None and row[0] == connection.info.backend_pid:
            return True
        channel = f"mandate_probe_{secrets.token_hex(8)}"
        await connection.execute(f"LISTEN {channel}")
        async with await psycopg.AsyncConnection.connect(self._address, autocommit=True) as other:
            await other.execute("SELECT pg_notify(%s, '')", [channel])
        async for _ in connection.notifies(timeout=HEAR_WITHIN, stop_after=1):
            return True
        return False

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self.is_listening = False
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await connection.close()

    async def _wait(self) -> None:
        """Wait for a change or for the next poll, and hand on what other nodes cancel meanwhile."""
        assert self._connection is not None  # noqa: S101 - for the type checker
        until, has_changed = time.monotonic() + POLL_SECONDS, False
        while not has_changed and (seconds := until - time.monotonic()) > 0:
            async for notice in self._connection.notifies(timeout=seconds, stop_after=1):
                has_changed |= notice.channel == CHANNEL
                if notice.channel == CANCELLATIONS and self._cancelled is not None:
                    self._cancelled(notice.payload)

    async def _poll(self) -> None:
        """Read, apply, acknowledge, until a lease rests on it. The lease is renewed only when all three are done."""
        assert self._connection is not None  # noqa: S101 - for the type checker
        connection, is_renewed = self._connection, False
        while not is_renewed:
            began = time.monotonic()
            cursor = await connection.execute(change.READ, [self.position, MOST_ROWS + 1], prepare=True)
            rows = await cursor.fetchall()
            now, newest = rows[0][:2]
            clock.set_offset(now)
            self._started = self._started or now
            if not await self._history.goes_on(connection, self.position, newest):
                logger.warning("feed_begins_anew", extra={"node": self.node, "position": self.position})
                self._is_placed = False
            self._take(newest, [change.of_row(row[2:]) for row in rows if row[2] is not None])
            is_renewed = await self._renew(connection, began, self._started)

    async def _renew(self, connection: psycopg.AsyncConnection[Any], began: float, started: datetime) -> bool:
        """Acknowledge what was applied, and renew the lease; False where no revocation waited for this node."""
        sent = time.monotonic()
        acknowledged = await self._acknowledge(connection, [self.node], [started], [self.position])
        is_unbroken = self._acknowledged.note(sent)
        if not self._is_confirmed:
            await self._confirm(acknowledged)
        self._polled = began if is_unbroken else self._polled
        return is_unbroken

    @staticmethod
    async def _acknowledge(
        connection: psycopg.AsyncConnection[Any], nodes: list[str], started: list[datetime], positions: list[int]
    ) -> list[tuple[datetime]]:
        """Say how far these nodes have applied; returns the moment that is noted of each."""
        return await (await connection.execute(_ACKNOWLEDGE, [nodes, started, positions], prepare=True)).fetchall()

    @staticmethod
    async def _note_stopped(connection: psycopg.AsyncConnection[Any], nodes: list[str]) -> None:
        """Note that revocations need not wait for these nodes any more."""
        await connection.execute(_STOP, [nodes])

    async def _confirm(self, acknowledged: Sequence[tuple[datetime]]) -> None:
        """Raise OtherDatabase unless the readers see what was just acknowledged: revocations would not reach us."""
        assert self._confirms is not None  # noqa: S101 - for the type checker: without it nothing is to be confirmed
        if not await self._confirms(acknowledged[0][0]):
            raise OtherDatabase(ELSEWHERE)
        self._is_confirmed = True

    async def _in_time(self, polling: Coroutine[Any, Any, None]) -> None:
        """Poll within POLL_WITHIN, or give the connection up and raise TimeoutError.

        A connection that hangs takes seconds to be cancelled; the next one must not wait for that.
        """
        task = asyncio.create_task(polling)
        try:
            await asyncio.wait({task}, timeout=POLL_WITHIN)
        finally:
            if not task.done():
                task.cancel()
                self._given_up.add(task)
                task.add_done_callback(self._given_up.discard)
        if not task.done():
            self._connection = None
            raise TimeoutError
        await task

    def _take(self, newest: int, changes: Sequence[Change]) -> None:
        if not self._is_placed or newest < self.position or len(changes) > MOST_ROWS:
            # The first poll, a database that lacks what this node has seen, or so much that a fresh start is cheaper.
            self._apply(None)
            self._is_placed = True
        elif applied := [each for each in changes if each.kind != DRILL_KIND]:
            self._apply(applied)
        self.position = newest
