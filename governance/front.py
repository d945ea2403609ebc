"""The front of the web process: takes a whole request in, and only then a thread of those that answer.

Django answers in threads, and a request that comes slowly must not hold one. So each request is read here, by the event
loop, with a deadline and a size; what is whole waits for a thread. Some threads are kept for people and programs that
have signed in: requests of strangers never take the last ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import json
import logging
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from django.db import Error, close_old_connections
from django.http.cookie import parse_cookie

from audit import clock
from audit.refusals import refusals
from entitlements.api import problems
from entitlements.errors import DomainError

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Header = tuple[bytes, bytes]
type Environ = dict[str, Any]
type Answering = Callable[[Environ, Any], Iterable[bytes]]

SIGNED_IN: Final = "mandate.signed_in"
"""The key of a request's environment for whether it was signed in (`console.middleware.VisitMiddleware`)."""

THREADS: Final = 4
"""Threads that answer any request."""
KEPT: Final = 2
"""Threads more, for requests of people and programs that have signed in."""
MOST_WAITING: Final = 500
"""Requests of strangers that wait for a thread; the next ones are answered 503 at once."""

STRANGER_SECONDS: Final = 15.0
SIGNED_IN_SECONDS: Final = 120.0
"""Seconds in which the body of a request must be here, from its headers on."""
LARGEST_WITHOUT_CREDENTIAL: Final = 1024 * 1024
LARGEST: Final = 18 * 1024 * 1024
"""Bytes of a body. The largest that anything takes is an OpenAPI document of 16 MiB."""
MOST_OF_STRANGERS: Final = 64 * 1024 * 1024
"""Bytes of bodies that are kept for strangers at once."""

ALIVE: Final = b"/healthz"
"""Where a supervisor asks whether the process lives: answered at once, for any host, without thread or database."""
WHOLE: Final = 256 * 1024
"""An answer up to this size is sent in one piece; its thread is free before the client has read it."""
SEND_SECONDS: Final = 60.0
"""Seconds for a client to take a whole answer, or the next piece of a long one."""
REMEMBERED: Final = 20_000

logger = logging.getLogger(__name__)


class BodyTooLate(DomainError):
    """The body did not arrive in time. Send the request again over a faster connection, or send less at once."""

    code, status = "body_too_late", HTTPStatus.REQUEST_TIMEOUT


class BodyTooLarge(DomainError):
    """The body is larger than this server accepts. Send less at once; an OpenAPI document may have 16 MiB."""

    code, status = "body_too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Busy(DomainError):
    """The server has too many requests of clients that have not signed in. Try again in a few seconds."""

    code, status = "busy", HTTPStatus.SERVICE_UNAVAILABLE


class Gone(Exception):
    """The client went away before its request was whole."""


@dataclass(slots=True)
class Whole:
    """An answer that is sent in one piece."""

    status: int
    headers: list[Header]
    body: bytes


@dataclass(slots=True)
class _Started:
    """What WSGI's `start_response` was called with."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: list[Header] = field(default_factory=list)

    def __call__(self, status: str, headers: Iterable[tuple[str, str]], exc_info: object = None) -> None:
        """Take status and headers (PEP 3333)."""
        del exc_info
        self.status = int(status.partition(" ")[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class Front:
    """ASGI 3 over a WSGI application: reads each request, then answers it in a thread."""

    def __init__(self, answering: Answering, *, cookie: str, is_issued: Callable[[str], bool]) -> None:
        """Answer with `answering`; `is_issued` says whether a value of `cookie` is a name that we gave away."""
        self._answering, self._cookie, self._is_issued = answering, cookie, is_issued
        self._pool = ThreadPoolExecutor(THREADS + KEPT, thread_name_prefix="answers")
        self._strangers = asyncio.Semaphore(THREADS)
        self._waiting, self._held = 0, 0
        self._seen: OrderedDict[bytes, bool] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["raw_path"] == ALIVE:
            await _send(send, _LIVES if scope["method"] in ("GET", "HEAD") else _ONLY_READ)
        elif scope["type"] == "http":
            with contextlib.suppress(Gone):
                await self._serve(_environ(scope), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._pool.shutdown)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, environ: Environ, receive: Receive, send: Send) -> None:
        credential = self._credential(environ)
        is_known = self.knows(credential)
        try:
            with self._room(is_known=is_known) as take:
                if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
                    largest = LARGEST if credential else LARGEST_WITHOUT_CREDENTIAL
                    seconds = SIGNED_IN_SECONDS if is_known else STRANGER_SECONDS
                    body = await _body(environ, receive, largest, seconds, take)
                    environ["CONTENT_LENGTH"], environ["wsgi.input"] = str(len(body)), io.BytesIO(body)
                await self._answer(environ, send, is_known=is_known)
        except DomainError as refusal:
            await _send(send, _problem(refusal))
            if not is_known and not isinstance(refusal, Busy):  # a crowd must not make work by being turned away
                await self._count(str(refusal.code), environ["REMOTE_ADDR"])
        else:
            self._remember(credential, environ.get(SIGNED_IN))

    def _credential(self, environ: Environ) -> str:
        """Return what the request says who it is with: its Authorization header, else its session; empty without."""
        if authorization := environ.get("HTTP_AUTHORIZATION"):
            return str(authorization)
        if cookies := environ.get("HTTP_COOKIE"):
            return parse_cookie(cookies).get(self._cookie, "")
        return ""

    def knows(self, credential: str) -> bool:
        """Whether a credential was good when it was last seen, or is a name of a session that we gave away."""
        if not credential:
            return False
        seen = self._seen.get(_digest(credential))
        return self._is_issued(credential) if seen is None else seen

    def _remember(self, credential: str, is_signed_in: object) -> None:
        """Keep whether a credential was good; what never was is not kept, so that strangers fill no memory."""
        if not credential or is_signed_in is None or (not is_signed_in and not self.knows(credential)):
            return
        self._seen[_digest(credential)] = bool(is_signed_in)
        self._seen.move_to_end(_digest(credential))
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    @contextlib.contextmanager
    def _room(self, *, is_known: bool) -> Iterator[Callable[[int], None]]:
        """Yield what takes room for bytes of a body. It raises Busy when bodies of strangers fill theirs."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if not is_known:
                if self._held + count > MOST_OF_STRANGERS:
                    raise Busy
                taken, self._held = taken + count, self._held + count

        try:
            yield take
        finally:
            self._held -= taken

    async def _answer(self, environ: Environ, send: Send, *, is_known: bool) -> None:
        if is_known:
            await self._in_a_thread(environ, send, lambda _: None)
        else:
            await self._turn_of_a_stranger()
            await self._in_a_thread(environ, send, lambda _: self._strangers.release())

    async def _turn_of_a_stranger(self) -> None:
        """Wait for a thread that strangers may have. Raises Busy when too many wait."""
        if self._waiting >= MOST_WAITING:
            raise Busy
        self._waiting += 1
        try:
            await self._strangers.acquire()
        finally:
            self._waiting -= 1

    async def _in_a_thread(self, environ: Environ, send: Send, after: Callable[[object], None]) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Whole | None] = loop.create_future()
        job = loop.run_in_executor(self._pool, self._work, environ, loop, send, answer)
        job.add_done_callback(after)
        whole = await answer
        if whole is None:
            await job  # the thread sends a long answer itself
        else:
            await _send(send, whole)

    def _work(
        self, environ: Environ, loop: asyncio.AbstractEventLoop, send: Send, answer: asyncio.Future[Whole | None]
    ) -> None:
        """Answer, in a thread. A long answer of a signed-in caller is sent as it is made."""
        started, answered = _Started(), None
        try:
            answered = self._answering(environ, started)
            pieces = iter(answered)
            begun = bytearray()
            for piece in pieces:
                begun += piece
                if len(begun) > WHOLE and environ.get(SIGNED_IN):
                    break
            else:
                whole = Whole(started.status, started.headers, bytes(begun))
                loop.call_soon_threadsafe(_settle, answer, whole)
                return
            loop.call_soon_threadsafe(_settle, answer, None)
            _stream(loop, send, started, itertools.chain([bytes(begun)], pieces))
        except Exception:
            logger.exception("answer_failed")
            loop.call_soon_threadsafe(_settle, answer, _FAILED)
        finally:
            if close := getattr(answered, "close", None):
                close()

    async def _count(self, code: str, source: str) -> None:
        """Count a request of a stranger that was not taken, in a thread of strangers."""
        with contextlib.suppress(Busy):
            await self._turn_of_a_stranger()
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, _counted, code, source)
            finally:
                self._strangers.release()


def _settle(answer: asyncio.Future[Whole | None], whole: Whole | None) -> None:
    if not answer.done():
        answer.set_result(whole)


def _counted(code: str, source: str) -> None:
    close_old_connections()
    with contextlib.suppress(Error, clock.ClockUnknown):
        refusals.count_stranger(code, source)
    close_old_connections()


def _environ(scope: Message) -> Environ:
    """Return the environment of PEP 3333 for an ASGI scope, without its body."""
    host, port = scope.get("server") or ("", "")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str((scope.get("client") or ("",))[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:
            continue  # it would be taken for the header with a hyphen, which a proxy may vouch for
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    return environ


async def _body(environ: Environ, receive: Receive, largest: int, seconds: float, take: Callable[[int], None]) -> bytes:
    """Read a body. Raises BodyTooLarge, BodyTooLate and Gone."""
    length = environ.get("CONTENT_LENGTH", "0")
    if not length.isdecimal() or len(length) > _DIGITS or int(length) > largest:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                piece = message.get("body", b"")
                if len(body) + len(piece) > largest:
                    raise BodyTooLarge
                take(len(piece))
                body += piece
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError as why:
        raise BodyTooLate from why


async def _send(send: Send, whole: Whole) -> None:
    """Send an answer; a large one in pieces, each of which waits until the client has taken those before it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.start", "status": whole.status, "headers": whole.headers})
            for begin in range(WHOLE, len(whole.body), WHOLE):
                piece = whole.body[begin - WHOLE : begin]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            last = max(len(whole.body) - 1, 0) // WHOLE * WHOLE
            await send({"type": "http.response.body", "body": whole.body[last:]})


def _stream(loop: asyncio.AbstractEventLoop, send: Send, started: _Started, pieces: Iterable[bytes]) -> None:
    """Send a long answer from a thread, piece by piece, as the client reads. Raises TimeoutError when it does not."""

    def sent(message: Message) -> None:
        asyncio.run_coroutine_threadsafe(_soon(send, message), loop).result()

    sent({"type": "http.response.start", "status": started.status, "headers": started.headers})
    for piece in pieces:
        sent({"type": "http.response.body", "body": piece, "more_body": True})
    sent({"type": "http.response.body", "body": b"", "more_body": False})


async def _soon(send: Send, message: Message) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send(message)


def _problem(refusal: DomainError) -> Whole:
    """Return the problem document of a refusal (RFC 9457). The connection ends with it: its body was not read."""
    body = json.dumps(problems.document(refusal, refusal.status)).encode()
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *([(b"retry-after", b"5")] if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    ]
    return Whole(refusal.status, headers, body)


def _digest(credential: str) -> bytes:
    return hashlib.blake2s(credential.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_DIGITS: Final = 15
_FAILED: Final = Whole(HTTPStatus.INTERNAL_SERVER_ERROR, [(b"content-length", b"0")], b"")
_LIVES: Final = Whole(
    HTTPStatus.OK,
    [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"3"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ],
    b"ok\n",
)
_ONLY_READ: Final = Whole(HTTPStatus.METHOD_NOT_ALLOWED, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")], b"")
