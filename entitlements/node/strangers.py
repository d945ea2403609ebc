"""Failures of those whom we do not know: counted by source and minute, so that strangers cannot fill the record."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import datetime
from typing import Any, Final

import psycopg

from audit import client_address, clock

MOST_SOURCES: Final = 1000

_COUNT: Final = "SELECT count_strangers_v1(%s, %s, %s, %s)"


class Strangers:
    """Counts in memory, and writes the sums once a second; a job makes events of them (audit.refusals.refusals)."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._counts: Counter[tuple[datetime, str, str]] = Counter()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    def count(self, kind: str, source: str) -> None:
        """Count one failure of a source (of IPv6 a /64); beyond a thousand sources a second the rest share a row."""
        try:
            minute = clock.now().replace(second=0, microsecond=0)
        except clock.ClockUnknown:
            return
        key = (minute, kind, client_address.counted_as(source)[:100])
        self._counts[key if key in self._counts or len(self._counts) < MOST_SOURCES else (minute, kind, "*")] += 1

    async def flush(self) -> None:
        """Write what was counted; what cannot be written is counted again later."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._address, autocommit=True, connect_timeout=2, application_name="mandate-strangers"
                )
            rows = [(*key, number) for key, number in counts.items()]
            async with self._connection.cursor() as cursor:
                await cursor.executemany(_COUNT, rows)
        except (psycopg.Error, OSError):
            self._counts.update(counts)

    async def close(self) -> None:
        """Write the rest."""
        with contextlib.suppress(psycopg.Error, OSError):
            await self.flush()
            if self._connection is not None:
                await self._connection.close()
