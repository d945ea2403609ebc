"""What one request reads on a node (`entitlements/decisions/reads.py`): from memory first, and anew when it is refused.

A refusal is final only on facts that were read after the request arrived: an endpoint that refuses looks at
`is_from_memory`, and asks again with `fresh()`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import psycopg_pool
from psycopg import conninfo

from entitlements.decisions.reads import About, Rows, Values
from entitlements.decisions.snapshot import AgentFacts, SessionFacts

from .kept import KeptRows
from .snapshots import NEVER, SnapshotInUse, Snapshots

_MOST_CONNECTIONS: Final = 4
_RECONNECT_WITHIN: Final = 3.0
"""Seconds for which the pool tries again, ever more seldom; after that the next reader tries at once."""


def pool_of_readers(address: str) -> psycopg_pool.AsyncConnectionPool[Any]:
    """Return the pool of a node's connections for what is read and written beside the record, not open yet."""
    return psycopg_pool.AsyncConnectionPool(
        conninfo.make_conninfo(address, connect_timeout=2, tcp_user_timeout=3000, application_name="mandate-gateway"),
        min_size=1, max_size=_MOST_CONNECTIONS, timeout=1.5, max_waiting=1000, reconnect_timeout=_RECONNECT_WITHIN,
        open=False, kwargs={"autocommit": True},
    )  # fmt: skip


class NodeReads:
    """The reads of one request. Raises Closed when the database does not answer in time.

    `check_open` raises Closed when the lease has lapsed, as it may while facts are read.
    """

    def __init__(
        self, snapshots: Snapshots, kept: KeptRows, check_open: Callable[[], None], *, is_fresh: bool = False
    ) -> None:
        self._snapshots, self._kept, self._check_open, self._is_fresh = snapshots, kept, check_open, is_fresh
        self.is_from_memory = False

    def fresh(self) -> NodeReads:
        """Return reads for the same request that take nothing from memory."""
        return NodeReads(self._snapshots, self._kept, self._check_open, is_fresh=True)

    def may_trust(self) -> bool:
        """Whether a fact may be taken from elsewhere than the database, as from memory; notes that one was."""
        if not self._is_fresh:
            self.is_from_memory = True
        return not self._is_fresh

    def known(self, statement: str, values: Values) -> Rows | None:
        """Return the rows that are kept, without waiting; None where they are not."""
        rows = None if self._is_fresh else self._kept.current(statement, values)
        self.is_from_memory |= rows is not None
        return rows

    def keep(self, statement: str, values: Values, rows: Rows, about: About, position: int) -> None:
        """Keep rows that this process wrote itself, on facts of that position of the feed."""
        self._kept.keep(statement, values, rows, about, position)

    def keep_session(self, agent: str, session: str, facts: SessionFacts) -> None:
        """Know a session that this process began."""
        self._snapshots.presented.keep_session(agent, session, facts)

    async def rows(self, statement: str, values: Values = ()) -> Rows:
        """Return the rows as they are now."""
        return await self._snapshots.query(statement, values)

    async def kept(self, statement: str, values: Values, about: About) -> Rows:
        """Return the rows as they were after the last change of any of their subjects."""
        if not self._is_fresh and (rows := self._kept.current(statement, values)) is not None:
            self.is_from_memory = True
            return rows
        return await self._kept.get(statement, values, about)

    async def facts(
        self,
        agent: str,
        system: str,
        *,
        person: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> AgentFacts | None:
        """Return the facts about an agent at a system, with what is asked about."""

        async def look_up(held: SnapshotInUse) -> bool:
            if person is not None:
                await self._snapshots.know_person(held, person)
            presented = self._snapshots.presented
            was_known = presented.is_known(agent, session, None)
            if self._is_fresh or not was_known:
                await presented.look_up(agent, session, token)
            return was_known

        began = time.monotonic()
        held, was_known = await self._snapshots.get_with(
            agent, system, look_up, after=began if self._is_fresh else NEVER
        )
        self._check_open()
        if held is None:
            return None
        self.is_from_memory |= not self._is_fresh and (was_known or held.began <= began)
        return held.facts
