"""The few rows that a gateway node writes beside events: each statement is a transaction of its own."""

from __future__ import annotations

import asyncio
from typing import Final

import psycopg
import psycopg_pool

from entitlements.codes import Code
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import Pool, Rows, Values

WRITE_WITHIN: Final = 3.0
"""Seconds."""


class Writes:
    """Runs statements that may be run twice: where a connection turns out to be dead, the next one is tried."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self, statement: str, values: Values) -> Rows:
        """Run one statement and return its rows. Raises Closed: then it did not happen, or its fate is unknown."""
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                try:
                    return await self._run(statement, values)
                except psycopg.OperationalError:
                    await self._pool.check()
                    return await self._run(statement, values)
        except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed, OSError) as why:
            raise Closed(Code.RECORD_UNAVAILABLE) from why

    async def _run(self, statement: str, values: Values) -> Rows:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, values, prepare=True)
            return await cursor.fetchall() if cursor.description is not None else []
