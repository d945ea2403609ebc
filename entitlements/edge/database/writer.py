"""The issuers' one write: a statement on a connection of its own, whose producer the database numbers.

Where the fate of a statement is not known, its request fails closed, nothing is written twice, and the connection's
next life begins with an event that ends the one before.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import psycopg

from audit.draft import Draft
from entitlements.codes import Code
from entitlements.edge.database.call_connection import Connection
from entitlements.node.refusals import Closed
from entitlements.tokens import issue_token
from entitlements.tokens.issue_token import Answer, Producer

LINES: Final = 4
"""Statements under way at a time: PostgreSQL groups their commits."""
MOST_WAITING: Final = 1000
COMMIT_WITHIN: Final = 2.0
"""Seconds for one statement: a node that cannot write says so as soon as one that hears of no change."""
WAIT_WITHIN: Final = 2.0

logger = logging.getLogger(__name__)

type Parameters = Callable[[UUID], list[Any]]


class _Line:
    """One connection and the producer that shares its life."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._producer = Producer()
        self._ended: list[Draft] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, statement: str, parameters: Parameters, events: int) -> Answer:
        """Run one statement. Raises Closed: then it is undone, or its fate is unknown."""
        connection = await self._connect()
        while self._ended:
            marker = self._ended[0]
            await self._run(connection, issue_token.PSYCOPG, functools.partial(issue_token.refuse, marker), 1)
            self._ended.pop(0)
        return await self._run(connection, statement, parameters, events)

    async def close(self) -> None:
        """Disconnect."""
        self._leave()
        await asyncio.gather(*self._closing)

    async def _run(self, connection: Connection, statement: str, parameters: Parameters, events: int) -> Answer:
        values = parameters(self._producer.uuid)
        try:
            row = await connection.call(statement, values, COMMIT_WITHIN)
        except (psycopg.Error, TimeoutError) as why:
            if isinstance(why, TimeoutError) or connection.is_farewell(why):
                self._lose(events)
            logger.warning("issuer_write_failed", extra={"error": repr(why)})
            raise Closed(Code.RECORD_UNAVAILABLE) from why
        except BaseException:
            self._lose(events)
            raise
        answer = issue_token.answer(row)
        try:
            self._producer.take(answer, events)
        except issue_token.OutOfOrder as why:
            logger.exception("issuer_out_of_order")
            self._lose(0)
            raise Closed(Code.RECORD_UNAVAILABLE) from why
        return answer

    def _lose(self, in_doubt: int) -> None:
        self._ended.append(self._producer.end(in_doubt))
        self._leave()

    def _leave(self) -> None:
        """Disconnect, and let no request wait for it: where the server is out of reach, cancelling takes its time."""
        connection, self._connection = self._connection, None
        if connection is not None:
            task = asyncio.create_task(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _connect(self) -> Connection:
        if self._connection is not None and not self._connection.is_cut:
            return self._connection
        if self._connection is not None:  # lost while idle: nothing is in doubt, but its life is over
            self._leave()
            self._producer = Producer()
        try:
            self._connection = await Connection.connect(self._address, "mandate-issuer")
        except (psycopg.Error, OSError) as why:
            raise Closed(Code.RECORD_UNAVAILABLE) from why
        return self._connection


class Writer:
    """Hands each write to a line that is free, the one used last first."""

    def __init__(self, address: str, *, lines: int = LINES) -> None:
        self._lines = [_Line(address) for _ in range(lines)]
        self._free = [*self._lines]
        self._queue: deque[asyncio.Future[_Line]] = deque()
        self._waiting = 0

    async def write(self, parameters: Parameters, events: int, statement: str = issue_token.PSYCOPG) -> Answer:
        """Write; `events` is how many the statement numbers when it succeeds. Raises Closed.

        A request that is cancelled does not cut the statement short: a client who leaves must not put a write in doubt.
        """
        if self._waiting >= MOST_WAITING:
            raise Closed(Code.RECORD_UNAVAILABLE)
        self._waiting += 1
        try:
            return await asyncio.shield(asyncio.create_task(self._write(parameters, events, statement)))
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Disconnect."""
        for line in self._lines:
            await line.close()

    async def _write(self, parameters: Parameters, events: int, statement: str) -> Answer:
        line = await self._take()
        try:
            return await line.call(statement, parameters, events)
        finally:
            self._give_back(line)

    async def _take(self) -> _Line:
        if self._free:
            return self._free.pop()
        turn: asyncio.Future[_Line] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        late = turn.get_loop().call_later(WAIT_WITHIN, _give_up, turn)
        try:
            return await turn
        finally:
            late.cancel()

    def _give_back(self, line: _Line) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(line)
                return
        self._free.append(line)


def _give_up(turn: asyncio.Future[_Line]) -> None:
    if not turn.done():
        turn.set_exception(Closed(Code.RECORD_UNAVAILABLE))
