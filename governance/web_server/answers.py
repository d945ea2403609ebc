"""Sends an answer: whole, by the event loop, or a long one piece by piece from the thread that makes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from entitlements.api import problems
from entitlements.errors import DomainError
from entitlements.upstream import shares

from .bodies import Gone, Message

type Send = Callable[[Message], Awaitable[None]]
type Header = tuple[bytes, bytes]

WHOLE: Final = 256 * 1024
"""Bytes of an answer that are sent in one piece."""
SEND_SECONDS: Final = 60.0
"""Seconds for a client to take a whole answer, or the next piece of a long one."""


@dataclass(slots=True)
class Whole:
    """An answer that is sent in one piece."""

    status: int
    headers: list[Header]
    body: bytes


@dataclass(slots=True)
class Started:
    """What WSGI's `start_response` was called with."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: list[Header] = field(default_factory=list)

    def __call__(self, status: str, headers: Iterable[tuple[str, str]], exc_info: object = None) -> None:
        """Take status and headers (PEP 3333)."""
        del exc_info
        self.status = int(status.partition(" ")[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


@dataclass(frozen=True, slots=True)
class AnswerWay:
    """The way from a thread to the client: a whole answer by the event loop, or a long one piece by piece."""

    loop: asyncio.AbstractEventLoop
    send: Send
    answer: asyncio.Future[Whole | None]

    def settle(self, whole: Whole | None) -> None:
        """Hand a whole answer to the event loop; None before a long one."""
        self.loop.call_soon_threadsafe(_settle, self.answer, whole)

    def stream(self, started: Started, pieces: Iterable[bytes]) -> None:
        """Send a long answer as the client reads. Raises TimeoutError when it does not, Gone when it was answered."""
        self.settle(None)
        self._sent({"type": "http.response.start", "status": started.status, "headers": started.headers})
        for piece in pieces:
            self._sent({"type": "http.response.body", "body": piece, "more_body": True})
        self._sent({"type": "http.response.body", "body": b"", "more_body": False})

    def _sent(self, message: Message) -> None:
        asyncio.run_coroutine_threadsafe(self._soon(message), self.loop).result()

    async def _soon(self, message: Message) -> None:
        if self.answer.cancelled():
            raise Gone
        async with asyncio.timeout(SEND_SECONDS):
            await self.send(message)


def _settle(answer: asyncio.Future[Whole | None], whole: Whole | None) -> None:
    if not answer.done():
        answer.set_result(whole)


async def send_whole(send: Send, whole: Whole) -> None:
    """Send an answer; a large one in pieces, each of which waits until the client has taken those before it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.start", "status": whole.status, "headers": whole.headers})
            for begin in range(WHOLE, len(whole.body), WHOLE):
                piece = whole.body[begin - WHOLE : begin]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            last = max(len(whole.body) - 1, 0) // WHOLE * WHOLE
            await send({"type": "http.response.body", "body": whole.body[last:]})


def problem(refusal: DomainError) -> Whole:
    """Return the problem document of a refusal (RFC 9457). The connection ends with it: its body was not read."""
    body = json.dumps(problems.document(refusal, refusal.status)).encode()
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *([(b"retry-after", str(shares.WAIT).encode())] if refusal.status in _LATER else []),
    ]
    return Whole(refusal.status, headers, body)


_LATER: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
FAILED: Final = Whole(HTTPStatus.INTERNAL_SERVER_ERROR, [(b"content-length", b"0")], b"")
LIVES: Final = Whole(
    HTTPStatus.OK,
    [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"3"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ],
    b"ok\n",
)
ONLY_READ: Final = Whole(HTTPStatus.METHOD_NOT_ALLOWED, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")], b"")
