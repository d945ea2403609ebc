"""The one load generator: a few kept connections, each doing one operation after the other, a fixed number in all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import httptools

from tests.benchmarks.measure import Times
from tests.benchmarks.processes import Server

SLOWEST_SECONDS = 20.0


class UnexpectedError(Exception):
    """A server answered otherwise than the bench wants; its number would mean nothing."""


def request(url: str, body: bytes, headers: Mapping[str, str] | None = None, *, method: str = "POST") -> bytes:
    """Return a whole HTTP request, ready to be written again and again."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One kept connection; one answer at a time."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        keeps = self._parser.should_keep_alive()
        self._parser, self._body = httptools.HttpResponseParser(self), []
        if not keeps and self.transport:
            self.transport.close()
            self.transport = None
        if self.answer and not self.answer.done():
            self.answer.set_result((status, body))

    def connection_lost(self, _why: Exception | None) -> None:
        self.transport = None
        if self.answer and not self.answer.done():
            self.answer.set_exception(UnexpectedError("The server closed the connection."))


class Caller:
    """What an operation is handed: it sends a request and has the answer; reconnects where a server does not keep."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connection | None = None

    async def send(self, raw: bytes, *expected: int) -> bytes:
        """Send a request and return the body. Raises UnexpectedError for a status that is not expected (200)."""
        loop = asyncio.get_running_loop()
        if self._connection is None or self._connection.transport is None:
            _, self._connection = await loop.create_connection(Connection, self._server.host, self._server.port)
        connection = self._connection
        assert connection.transport is not None
        connection.answer = loop.create_future()
        connection.transport.write(raw)
        async with asyncio.timeout(SLOWEST_SECONDS):
            status, body = await connection.answer
        if status not in (expected or (200,)):
            raise UnexpectedError(f"{status}: {body[:600].decode(errors='replace')}")
        return body

    def close(self) -> None:
        """Let the connection go."""
        if self._connection and self._connection.transport:
            self._connection.transport.abort()


type Operation = Callable[[Caller, int], Awaitable[None]]


async def _drive(server: Server, operation: Operation, count: int, connections: int, begin: int) -> list[float]:
    numbers = iter(range(begin, begin + count))
    taken: list[float] = []

    async def work() -> None:
        caller = Caller(server)
        try:
            for number in numbers:
                begun = time.perf_counter()
                await operation(caller, number)
                taken.append(time.perf_counter() - begun)
        finally:
            caller.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    return taken


def drive(
    server: Server,
    operation: Operation,
    count: int,
    *,
    connections: int,
    begin: int = 0,
    measured: Server | None = None,
    database: Server | None = None,
) -> Times:
    """Do `count` operations, numbered from `begin`, and return their times and the CPU time of the server.

    `measured` names another server whose CPU time counts, where the one that is called is not the one in question;
    `database` the PostgreSQL whose time is kept beside it.
    """
    watched = [measured or server, *([database] if database else [])]
    before = [each.cpu() for each in watched]
    taken = asyncio.run(_drive(server, operation, count, connections, begin))
    cpu, *rest = [each.cpu() - then for each, then in zip(watched, before, strict=True)]
    return Times(taken, cpu, count, sum(rest))
