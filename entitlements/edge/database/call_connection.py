"""A connection whose one kind of statement is a prepared call that returns one row: libpq itself, without a cursor.

psycopg connects and closes, and its errors are raised. What its cursors do besides for each statement (adapting by
type, looking a plan up, waiting by registering the socket anew) costs more than sending the values and taking the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import errors, pq

from audit import batch

CANCEL_WITHIN: Final = 2.0
_BINARY: Final = 1
_WELL: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_QUOTED: Final = re.compile(rb'(["\\])')
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

type Row = tuple[Any, ...]


class Connection:
    """One connection in autocommit, and at most one call under way. Make one with `connect`."""

    def __init__(self, raw: psycopg.AsyncConnection[Any]) -> None:
        self._raw, self._pgconn = raw, raw.pgconn
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[list[pq.abc.PGresult]] | None = None
        self._results: list[pq.abc.PGresult] = []
        self._prepared: dict[str, bytes] = {}
        self._is_cut = False
        self._socket = raw.fileno()
        self._loop.add_reader(self._socket, self._read)

    @classmethod
    async def connect(cls, address: str, name: str) -> Connection:
        """Connect; `name` is what PostgreSQL calls the application. Raises psycopg.Error, OSError."""
        raw = await psycopg.AsyncConnection.connect(
            address, autocommit=True, connect_timeout=2, application_name=name, client_encoding="utf-8"
        )
        return cls(raw)

    @property
    def is_cut(self) -> bool:
        """Whether the server has ended it while it was idle; known without waiting."""
        return self._is_cut or batch.is_cut(self._raw)

    def is_farewell(self, error: psycopg.Error) -> bool:
        """Tell whether an error came because the connection ended, rather than as the answer to a call."""
        return self._is_cut or batch.is_farewell(error, self._raw)

    async def call(self, statement: str, values: Sequence[Any], within: float) -> Row:
        """Run a statement as psycopg writes it, whose placeholders have casts, and return its only row.

        Raises psycopg.Error: the server's answer, or the end of the connection. Raises TimeoutError after `within`
        seconds; then, or cancelled, it leaves the call under way: `close`.
        """
        parameters = [encode(value) for value in values]
        name = self._prepared.get(statement)
        if name is None:
            name = await self._prepare(statement, within)
        return await self._send(
            lambda: self._pgconn.send_query_prepared(name, parameters, result_format=_BINARY), within
        )

    async def close(self) -> None:
        """Disconnect. What is under way is cancelled first, where the server still listens."""
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._socket = -1
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            if self._answer is not None and not self._raw.closed:
                await self._raw.cancel_safe(timeout=CANCEL_WITHIN)
        with contextlib.suppress(psycopg.Error, OSError):
            await self._raw.close()

    async def _prepare(self, statement: str, within: float) -> bytes:
        name = f"call_{len(self._prepared)}".encode()
        await self._send(lambda: self._pgconn.send_prepare(name, _numbered(statement)), within)
        self._prepared[statement] = name
        return name

    async def _send(self, send: Callable[[], None], within: float) -> Row:
        answer = self._answer = self._loop.create_future()
        self._results = []
        send()
        late = self._loop.call_later(within, _give_up, answer)
        try:
            while self._pgconn.flush():  # the socket is full: large values, and a server that is slow to read
                await self._writable(within)
            results = await answer
        finally:
            late.cancel()
        self._answer = None
        for result in results:
            if result.status not in _WELL:
                raise errors.error_from_result(result)
        return tuple(_decoded(result.get_value(0, at), result.ftype(at)) for at in range(result.nfields))

    async def _writable(self, within: float) -> None:
        event = asyncio.Event()
        self._loop.add_writer(self._socket, event.set)
        try:
            async with asyncio.timeout(within):
                await event.wait()
        finally:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        """Take what has come: the answer to the call, or else the end, since an idle connection is sent nothing."""
        answer = self._answer
        try:
            self._pgconn.consume_input()
            if answer is None or answer.done():
                self._end()
                return
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    answer.set_result(self._results)
                    return
                self._results.append(result)
        except psycopg.Error as why:
            self._end()
            if answer is not None and not answer.done():
                answer.set_exception(why)

    def _end(self) -> None:
        self._is_cut = True
        self._loop.remove_reader(self._socket)


def _give_up(answer: asyncio.Future[list[pq.abc.PGresult]]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def encode(value: object) -> bytes | None:
    """Write a value as PostgreSQL reads it where the type is cast to. Raises psycopg.DataError for a text with NUL."""
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return value.encode()
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, datetime):
        return value.isoformat().encode()
    if isinstance(value, list):
        return b"{" + b",".join(map(_element, value)) + b"}"
    return str(value).encode()


def _element(value: object) -> bytes:
    plain = encode(value)
    if plain is None:
        return b"NULL"
    return b'"' + _QUOTED.sub(rb"\\\1", plain) + b'"' if isinstance(value, str) else plain


def _decoded(raw: bytes | None, oid: int) -> object:
    return None if raw is None else _READERS.get(oid, bytes.decode)(raw)


def _moment(raw: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=int.from_bytes(raw, signed=True))


_READERS: Final[dict[int, Callable[[bytes], object]]] = {
    20: lambda raw: int.from_bytes(raw, signed=True),
    1184: _moment,
    2950: lambda raw: UUID(bytes=raw),
}
"""How the binary form of a type is read, by the number that PostgreSQL gives it; another is a text."""


@functools.lru_cache(maxsize=100)
def _numbered(statement: str) -> bytes:
    """Return a statement with PostgreSQL's own placeholders: $1, $2 ..."""
    numbers = itertools.count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", statement).encode()
