"""POST requests to one address, over a pool of `egress.client`, at a third of what aiohttp's own session costs.

The pool, its vetted addresses, TLS and the reading of answers are aiohttp's. Left out is what its session does for each
request and no call here needs: cookies, redirects, proxies, credentials of the address, traces, a task for the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp
import yarl
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

_FORBIDDEN: Final = ("\r", "\n", "\x00")
"""What would end a header before its end (RFC 9110 section 5.5)."""


@dataclass(slots=True)
class Answer:
    """What came back: status and headers at once, the body as it arrives."""

    status: int
    headers: Mapping[str, str]
    content: aiohttp.StreamReader

    @property
    def content_type(self) -> str:
        """Return the media type without its parameters, empty when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """Return the length that the headers name."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)


class Endpoint:
    """An address that POST requests go to; it was checked before (`egress.check_url`)."""

    def __init__(self, url: str) -> None:
        self._url = yarl.URL(url)
        self._request: aiohttp.ClientRequest | None = None
        self._begin = ""

    async def post[T](
        self,
        http: aiohttp.ClientSession,
        headers: Mapping[str, str],
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """Send a body and return what `take` makes of the answer, all within the pool's time.

        `gate` is called when a connection is there, synchronously before the first byte; what it raises is raised here,
        and nothing was sent. So are aiohttp.ClientError, TimeoutError, OSError, and ValueError for a header that would
        be two. The connection goes back to its pool at the end of the answer, and is closed where that is not reached.
        """
        head = self._head(headers, len(body))
        if http.connector is None:
            raise aiohttp.ClientConnectionError("The pool is closed: its system is reached otherwise now.")
        async with asyncio.timeout(http.timeout.total):
            connection = await http.connector.connect(self._known(), [], http.timeout)
            try:
                return await take(await _exchange(connection, head + body, gate))
            finally:
                connection.close()

    def _known(self) -> aiohttp.ClientRequest:
        """Return what the pool asks about a request; it is the same for all."""
        if self._request is None:
            self._request = aiohttp.ClientRequest("POST", self._url, loop=asyncio.get_running_loop())
        return self._request

    def _head(self, headers: Mapping[str, str], length: int) -> bytes:
        if not self._begin:
            self._begin = f"POST {self._url.raw_path_qs} HTTP/1.1\r\nHost: {self._known().headers['Host']}\r\n"
        lines = [f"{name}: {value}" for name, value in headers.items()]
        for line in lines:
            if any(map(line.__contains__, _FORBIDDEN)):
                message = "a header holds a line end"
                raise ValueError(message)
        return f"{self._begin}{'\r\n'.join(lines)}\r\nContent-Length: {length}\r\n\r\n".encode()


async def _exchange(connection: Connection, request: bytes, gate: Callable[[], None] | None) -> Answer:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True)
    if gate is not None:
        gate()
    transport.write(request)
    try:
        message, content = await protocol.read()
        while message.code // 100 == 1 and message.code != HTTPStatus.SWITCHING_PROTOCOLS:
            message, content = await protocol.read()
    except HttpProcessingError as why:
        raise aiohttp.ClientPayloadError("The answer is no HTTP.") from why

    def at_the_end() -> None:
        if transport.get_write_buffer_size():  # answered before it had read everything
            connection.close()
        else:
            connection.release()

    content.on_eof(at_the_end)
    return Answer(message.code, message.headers, content)
