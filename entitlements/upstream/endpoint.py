"""Requests to one address, over a pool of `egress.client`, at a third of what aiohttp's own session costs.

The pool, its vetted addresses, TLS and the reading of answers are aiohttp's. Left out is what its session does for each
request and no call here needs: cookies, redirects, proxies, credentials of the address, traces, a task for the body.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
import yarl
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

_FORBIDDEN: Final = ("\r", "\n", "\x00")
"""What would end a header before its end (RFC 9110 section 5.5)."""
_TARGET: Final = re.compile(r"[!-~]*")
_SAY_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say their length even where it is nothing (RFC 9110 section 8.6)."""


class _Form(NamedTuple):
    """How an answer is read: whether it has a body at all, and whether a compressed one is inflated."""

    is_empty: bool
    is_inflated: bool


_INFLATED: Final = _Form(is_empty=False, is_inflated=True)
_AS_IT_IS: Final = _Form(is_empty=False, is_inflated=False)
_EMPTY: Final = _Form(is_empty=True, is_inflated=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: path and query are encoded, and the body is None where there is none."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


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
    """An address that requests go to, or below; it was checked before (`egress.check_url`)."""

    def __init__(self, url: str) -> None:
        self._url = yarl.URL(url)
        self._base = self._url.raw_path.rstrip("/")
        self._request: aiohttp.ClientRequest | None = None

    def address(self, target: str) -> str:
        """Return the whole address of a path and query below this one."""
        return f"{self._url.origin()}{self._base}{target}"

    async def post[T](
        self,
        http: aiohttp.ClientSession,
        headers: Mapping[str, str],
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """POST a body to the address. Does as `_send`."""
        begin = f"POST {self._url.raw_path_qs} HTTP/1.1"
        return await self._send(http, _head(begin, self._host(), headers, len(body)) + body, take, gate)

    async def get[T](
        self, http: aiohttp.ClientSession, headers: Mapping[str, str], take: Callable[[Answer], Awaitable[T]]
    ) -> T:
        """GET the address itself. Does as `_send`."""
        begin = f"GET {self._url.raw_path_qs} HTTP/1.1"
        return await self._send(http, _head(begin, self._host(), headers, None), take, None)

    async def send[T](
        self,
        http: aiohttp.ClientSession,
        request: Sent,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """Send a request of any method to a path below the address; its answer comes as it is, compressed or not.

        Does as `_send`. Raises ValueError for a path that is not encoded.
        """
        if not request.target.startswith("/") or not _TARGET.fullmatch(request.target):
            message = "the path is not encoded"
            raise ValueError(message)
        begin = f"{request.method} {self._base}{request.target} HTTP/1.1"
        has_body = request.body is not None or request.method in _SAY_LENGTH
        head = _head(begin, self._host(), request.headers, len(request.body or b"") if has_body else None)
        form = _AS_IT_IS if request.method != "HEAD" else _EMPTY
        return await self._send(http, head + (request.body or b""), take, gate, form)

    async def _send[T](
        self,
        http: aiohttp.ClientSession,
        octets: bytes,
        take: Callable[[Answer], Awaitable[T]],
        gate: Callable[[], None] | None,
        form: _Form = _INFLATED,
    ) -> T:
        """Send a request and return what `take` makes of the answer, all within the pool's time.

        `gate` is called when a connection is there, synchronously before the first byte; what it raises is raised here,
        and nothing was sent. So are aiohttp.ClientError, TimeoutError, OSError, and ValueError for a header that would
        be two. The connection goes back to its pool at the end of the answer, and is closed where that is not reached.
        """
        if http.connector is None:
            raise aiohttp.ClientConnectionError("The pool is closed: its system is reached otherwise now.")
        async with asyncio.timeout(http.timeout.total):
            connection = await http.connector.connect(self._known(), [], http.timeout)
            try:
                return await take(await _exchange(connection, octets, gate, form))
            finally:
                connection.close()

    def _known(self) -> aiohttp.ClientRequest:
        """Return what the pool asks about a request; it is the same for all."""
        if self._request is None:
            self._request = aiohttp.ClientRequest("POST", self._url, loop=asyncio.get_running_loop())
        return self._request

    def _host(self) -> str:
        return self._known().headers["Host"]


def _head(begin: str, host: str, headers: Mapping[str, str], length: int | None) -> bytes:
    """Write the lines before a body. Raises ValueError for a header that would be two."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for line in lines:
        if any(map(line.__contains__, _FORBIDDEN)):
            message = "a header holds a line end"
            raise ValueError(message)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return f"{begin}\r\n{'\r\n'.join([f'Host: {host}', *lines])}\r\n\r\n".encode()


async def _exchange(connection: Connection, request: bytes, gate: Callable[[], None] | None, form: _Form) -> Answer:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(read_until_eof=True, skip_payload=form.is_empty, auto_decompress=form.is_inflated)
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
