"""A node's place in the change feed: read every change, apply it, then say so; and the lease that rests on it.

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
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import conninfo

from audit import clock
from entitlements.decisions.reads import FeedSubject
from entitlements.feed.changes import CHANNEL, LEASE_SECONDS
from entitlements.feed.subjects import KINDS

from .history import History

POLL_SECONDS: Final = 0.5
POLL_WITHIN: Final = 1.5
RETRY_SECONDS: Final = 0.2
HEAR_WITHIN: Final = 0.3
"""Seconds that a notification of our own may take."""
MOST_ROWS: Final = 20_000

_READ: Final = """
SELECT clock_timestamp(), (SELECT coalesce(max(seq), 0) FROM entitlements_change), c.seq, c.kind,
       c.concerns_all OR num_nonnulls(c.agent_id, c.person_id, c.group_id, c.client_id, c.system_id, c.tool_id,
           c.grant_id, c.trusted_issuer_id, c.identity_link_id, c.signing_key_id, c.session_id, c.token_id) = 0
         OR num_nonnulls(c.agent_id, c.person_id, c.client_id, c.system_id, c.tool_id)
            <> num_nonnulls(a.slug, p.login, k.client_id, y.slug, x.slug)
         OR num_nonnulls(c.grant_id, c.session_id) > 0 AND c.agent_id IS NULL,
       a.slug, p.login, c.group_id, k.client_id, coalesce(y.slug, x.slug),
       c.agent_id, c.person_id, c.client_id, coalesce(c.system_id, t.system_id), c.tool_id, c.grant_id,
       c.trusted_issuer_id, c.identity_link_id, c.signing_key_id, c.session_id, c.token_id
FROM (SELECT 1) AS one LEFT JOIN entitlements_change c ON c.seq > %s
LEFT JOIN entitlements_agent a ON a.id = c.agent_id
LEFT JOIN entitlements_person p ON p.id = c.person_id
LEFT JOIN entitlements_client k ON k.id = c.client_id
LEFT JOIN entitlements_system y ON y.id = c.system_id
LEFT JOIN (entitlements_tool t JOIN entitlements_system x ON x.id = t.system_id) ON t.id = c.tool_id
ORDER BY c.seq LIMIT %s
"""
"""A change of one that is no longer there, or of something whose agent it does not name, concerns all."""
_ACKNOWLEDGE: Final = "SELECT acknowledge_v1(%s, %s, %s)"
_STOP: Final = "SELECT stop_node_v1(%s)"
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
_ELSEWHERE: Final = (
    "What this node writes over FEED_DATABASE_URL does not appear over DATABASE_URL. Both must lead to the same"
    " database; this node refuses all calls until they do."
)

_KEYS: Final = (
    "agent_id",
    "person_id",
    "client_id",
    "system_id",
    "tool_id",
    "grant_id",
    "trusted_issuer_id",
    "identity_link_id",
    "signing_key_id",
    "session_id",
    "token_id",
)
"""The keys that _READ returns last, in its order."""

logger = logging.getLogger(__name__)


class Change(NamedTuple):
    """One row of the feed: whom it concerns, by the names that cached facts are kept under, and by their keys.

    `system` is also that of a tool which changed. What this release does not know concerns all.
    """

    seq: int
    kind: str
    concerns_all: bool
    agent: str | None = None
    person: str | None = None
    group: int | None = None
    client: str | None = None
    system: str | None = None
    subjects: tuple[FeedSubject, ...] = ()


class OtherDatabase(OSError):
    """The feed follows another database than the one that decisions and events use."""


class Feed:
    """Follows the feed for one node. `apply` gets the changes of one poll in order, or None: forget everything.

    `confirms`, where given, says whether the readers see this node's acknowledgement of that moment. It is asked once a
    connection, before the first lease.
    """

    def __init__(
        self,
        address: str,
        node: str,
        apply: Callable[[Sequence[Change] | None], None],
        confirms: Callable[[datetime], Awaitable[bool]] | None = None,
    ) -> None:
        self.node = node
        self.position = 0
        self.is_listening = False
        self._confirms = confirms
        self._is_confirmed = False
        self._address = conninfo.make_conninfo(address, **_SESSION)
        dead_hosts = str(conninfo.conninfo_to_dict(address).get("host", "")).count(",")
        self._connect_within = POLL_WITHIN + 1 + dead_hosts * float(_SESSION["connect_timeout"])
        self._apply = apply
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._polled = float("-inf")
        self._is_placed = False
        self._history = History()
        self._started: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._given_up: set[asyncio.Task[None]] = set()

    @property
    def lease_age(self) -> float:
        """Seconds since the last successful poll began; infinite before the first."""
        return time.monotonic() - self._polled

    @property
    def is_alive(self) -> bool:
        """Whether this node may serve."""
        return time.monotonic() - self._polled <= LEASE_SECONDS

    async def start(self) -> None:
        """Take a place in the feed, if the database answers, and follow it from now on."""
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            await self._connect()
            await self._in_time(self._poll())
        self._task = asyncio.create_task(self._follow(), name="change-feed")

    async def stop(self) -> None:
        """Stop serving at once, and note that revocations need not wait for this node any more."""
        self._polled = float("-inf")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            async with asyncio.timeout(POLL_WITHIN):
                if self._connection is None or self._connection.closed:
                    await self._connect()
                assert self._connection is not None  # noqa: S101 - for the type checker: _connect has just set it
                await self._connection.execute(_STOP, [self.node])
        await self._disconnect()

    async def _follow(self) -> None:
        while True:
            try:
                if self._connection is None:
                    await self._connect()
                await self._in_time(self._poll())
                await self._wait()
            except (psycopg.Error, OSError, TimeoutError) as why:
                logger.warning("feed_lost", extra={"node": self.node, "error": repr(why)})
                await self._disconnect()
                await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> None:
        async with asyncio.timeout(self._connect_within):
            self._connection = connection = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
            self._is_confirmed = self._confirms is None
            self.is_listening = await self._hears(connection)
            if self.is_listening:
                await connection.execute(f"LISTEN {CHANNEL}")
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
        assert self._connection is not None  # noqa: S101 - for the type checker
        async for _ in self._connection.notifies(timeout=POLL_SECONDS, stop_after=1):
            pass

    async def _poll(self) -> None:
        """Read, apply, acknowledge. The lease is renewed only when all three are done."""
        assert self._connection is not None  # noqa: S101 - for the type checker
        began = time.monotonic()
        connection = self._connection
        cursor = await connection.execute(_READ, [self.position, MOST_ROWS + 1], prepare=True)
        rows = await cursor.fetchall()
        now, newest = rows[0][:2]
        clock.set_offset(now)
        self._started = self._started or now
        if not await self._history.goes_on(connection, self.position, newest):
            logger.warning("feed_begins_anew", extra={"node": self.node, "position": self.position})
            self._is_placed = False
        self._take(newest, [_change(row[2:]) for row in rows if row[2] is not None])
        cursor = await connection.execute(_ACKNOWLEDGE, [self.node, self._started, self.position], prepare=True)
        if not self._is_confirmed:
            await self._confirm(await cursor.fetchall())
        self._polled = began

    async def _confirm(self, acknowledged: Sequence[tuple[datetime]]) -> None:
        """Raise OtherDatabase unless the readers see what was just acknowledged: revocations would not reach us."""
        assert self._confirms is not None  # noqa: S101 - for the type checker: without it nothing is to be confirmed
        if not await self._confirms(acknowledged[0][0]):
            raise OtherDatabase(_ELSEWHERE)
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
        elif changes:
            self._apply(changes)
        self.position = newest


def _change(row: tuple[Any, ...]) -> Change:
    seq, kind, concerns_all, agent, person, group, client, system, *keys = row
    subjects = [(column, key) for column, key in zip(_KEYS, keys, strict=True) if key is not None]
    subjects += [("group_id", group)] if group is not None else []
    return Change(seq, kind, concerns_all or kind not in KINDS, agent, person, group, client, system, tuple(subjects))
