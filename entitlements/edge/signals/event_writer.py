"""Writing security events: those that arrive while one write is under way are written together by the next.

So a flood of events costs few commits, and takes none of the connections by which tokens are written.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from entitlements.codes import Code
from entitlements.edge.database.call_connection import Connection
from entitlements.node.refusals import Closed

TAKE: Final = "SELECT receive_security_events_v1(%s::text)"
MOST_WAITING: Final = 2000
TOGETHER: Final = 250
WITHIN: Final = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """An event that was checked: its trusted issuer, its `jti`, and all that it says."""

    issuer: int
    jti: str
    claims: Mapping[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        """What the function of the database takes."""
        return {"issuer": self.issuer, "jti": self.jti, "claims": self.claims}


def parameters(events: list[TakenEvent]) -> list[str]:
    """Return the values of TAKE."""
    return [json.dumps([event.row for event in events])]


class EventWriter:
    """Writes events on a connection of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._waiting: list[tuple[TakenEvent, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def take(self, event: TakenEvent) -> None:
        """Write one event; durable when this returns. Raises Closed: then the transmitter sends it again."""
        if len(self._waiting) >= MOST_WAITING:
            raise Closed(Code.RECORD_UNAVAILABLE)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await done

    async def close(self) -> None:
        """Disconnect, once what was begun is written."""
        if self._writing is not None:
            await self._writing
        if self._connection is not None:
            await self._connection.close()

    async def _write(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                failed = await self._written([event for event, _ in together])
                for _, done in together:
                    if done.done():
                        continue
                    if failed is None:
                        done.set_result(None)
                    else:
                        done.set_exception(Closed(Code.RECORD_UNAVAILABLE))
        finally:
            self._writing = None

    async def _written(self, events: list[TakenEvent]) -> Exception | None:
        """Write some together; returns what went wrong. Written twice, an event is taken once."""
        try:
            if self._connection is None or self._connection.is_cut:
                self._connection = await Connection.connect(self._address, "mandate-signals")
            await self._connection.call(TAKE, parameters(events), WITHIN)
        except (psycopg.Error, OSError, TimeoutError) as error:
            logger.warning("security_events_not_written", extra={"error": repr(error)})
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()
            return error
        return None
