"""The front of the web process: takes a whole request in, and only then a thread of those that answer.

Django answers in threads, and a request that comes slowly must not hold one. So each request is read here, by the event
loop, with a deadline and a size; what is whole waits for a thread (`web_server/places.py`). Answers are sent from here
too, and what waits for others goes on aside (`entitlements/upstream/shares.py`). No caller holds more than its share:
of requests under way, of threads, and of the bytes that wait to be whole or to be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

from django.db import Error, close_old_connections, connection
from django.http import HttpResponse
from django.http.cookie import parse_cookie

from audit import client_address, clock
from audit.refusals import refusals
from entitlements.errors import DomainError
from entitlements.upstream import shares
from entitlements.upstream.shares import LONG_ANSWERS, Busy, CallerShare
from governance.web_server.answers import FAILED, LIVES, ONLY_READ, AnswerWay, Send, Started, Whole, problem, send_whole
from governance.web_server.bodies import (
    BodyTooLarge,
    BodyTooLate,
    Environ,
    Gone,
    Message,
    Receive,
    Take,
    environment,
    read,
)
from governance.web_server.database_watch import SLOW_SECONDS, DatabaseAway, DatabaseWatch
from governance.web_server.places import KEPT, MOST_WAITING, THREADS, AnswerPlaces, Caller

type Answering = Callable[[Environ, Any], Iterable[bytes]]

SIGNED_IN: Final = "mandate.signed_in"
"""The key of a request's environment for who was signed in (`console.middleware.VisitMiddleware`); empty for no one."""

UNDER_WAY: Final = 128
"""Requests of one caller that are sent, wait, are answered or are read; the next ones are answered 429 at once."""

STRANGER_SECONDS: Final = 15.0
SIGNED_IN_SECONDS: Final = 120.0
"""Seconds in which the body of a request must be here, from its headers on."""
LARGEST_WITHOUT_CREDENTIAL: Final = 1024 * 1024
LARGEST: Final = 18 * 1024 * 1024
"""Bytes of a body. The largest that anything takes is an OpenAPI document of 16 MiB."""
MOST_OF_STRANGERS, MOST_OF_ONE_STRANGER = 64 * 1024 * 1024, 16 * 1024 * 1024
MOST_OF_KNOWN, MOST_OF_ONE_KNOWN = 256 * 1024 * 1024, 2 * LARGEST
"""Bytes of bodies and answers that are kept for strangers at once, and for one; for those who have signed in."""

ALIVE: Final = b"/healthz"
"""Where a supervisor asks whether the process lives: answered at once, for any host, without thread or database."""
LONG: Final = 4 * 1024 * 1024
"""An answer up to this size, or made in one piece, is whole: its thread is free before the client has read it."""
REMEMBERED: Final = 20_000

logger = logging.getLogger(__name__)


class Front:
    """ASGI 3 over a WSGI application: reads each request, then answers it in a thread."""

    def __init__(
        self,
        answering: Answering,
        *,
        cookie: str,
        is_issued: Callable[[str], bool],
        watch: DatabaseWatch | None = None,
        while_away: Mapping[str, Callable[[str], HttpResponse]] | None = None,
    ) -> None:
        """Answer with `answering`; `is_issued` says whether a value of `cookie` is a name that we gave away.

        What is asked for at the addresses of `while_away`, with its Authorization, they answer without the database.
        """
        self._answering, self._cookie, self._is_issued = answering, cookie, is_issued
        self._watch, self._while_away = watch, while_away or {}
        self._pool = ThreadPoolExecutor(THREADS + KEPT + shares.ASIDE.in_all, thread_name_prefix="answers")
        self._places = AnswerPlaces(MOST_WAITING)
        self._under_way = CallerShare(in_all=sys.maxsize, each=UNDER_WAY)
        self._bytes_of_strangers = CallerShare(MOST_OF_STRANGERS, MOST_OF_ONE_STRANGER)
        self._bytes_of_known = CallerShare(MOST_OF_KNOWN, MOST_OF_ONE_KNOWN)
        self._seen: OrderedDict[bytes, str] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http" and scope["raw_path"] == ALIVE:
            await send_whole(send, LIVES if scope["method"] in ("GET", "HEAD") else ONLY_READ)
        elif scope["type"] == "http":
            with contextlib.suppress(Gone):
                await self._serve(environment(scope), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._pool.shutdown)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, environ: Environ, receive: Receive, send: Send) -> None:
        credential = self._credential(environ)
        caller = self._caller(environ, credential)
        try:
            with self._share(caller) as take:
                if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
                    largest = LARGEST if credential else LARGEST_WITHOUT_CREDENTIAL
                    seconds = SIGNED_IN_SECONDS if caller.is_known else STRANGER_SECONDS
                    body = await read(environ, receive, largest, seconds, take)
                    environ["CONTENT_LENGTH"], environ["wsgi.input"] = str(len(body)), io.BytesIO(body)
                if (whole := await self._answer(environ, send, caller)) is not None:
                    take(len(whole.body), beyond=True)
                    await send_whole(send, whole)
        except DomainError as refusal:
            await send_whole(send, problem(refusal))
            if isinstance(refusal, BodyTooLate | BodyTooLarge) and not caller.is_known:
                await self._count(str(refusal.code), caller)
        else:
            self._remember(credential, environ.get(SIGNED_IN))

    def _credential(self, environ: Environ) -> str:
        """Return what the request says who it is with: its Authorization header, else its session; empty without."""
        if authorization := environ.get("HTTP_AUTHORIZATION"):
            return str(authorization)
        if cookies := environ.get("HTTP_COOKIE"):
            return parse_cookie(cookies).get(self._cookie, "")
        return ""

    def _caller(self, environ: Environ, credential: str) -> Caller:
        """Return for whom a request counts: who had signed in with its credential when it was last seen, or a source.

        A name of a session that we gave away and this process has not seen yet is known, and counts for its source.
        """
        seen = self._seen.get(_digest(credential)) if credential else ""
        if seen:
            return Caller(seen, is_known=True)
        source = client_address.resolve(environ["REMOTE_ADDR"], environ.get("HTTP_X_FORWARDED_FOR", ""))
        return Caller(client_address.counted_as(source), is_known=seen is None and self._is_issued(credential))

    def knows(self, credential: str) -> bool:
        """Whether a credential was good when it was last seen, or is a name of a session that we gave away."""
        return self._caller({"REMOTE_ADDR": ""}, credential).is_known

    def _remember(self, credential: str, signed_in: object) -> None:
        """Keep who signed in with a credential; what never was good is not kept, so that strangers fill no memory."""
        if not credential or signed_in is None or (not signed_in and not self.knows(credential)):
            return
        self._seen[_digest(credential)] = str(signed_in or "")
        self._seen.move_to_end(_digest(credential))
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _bytes(self, caller: Caller) -> CallerShare:
        return self._bytes_of_known if caller.is_known else self._bytes_of_strangers

    @contextlib.contextmanager
    def _share(self, caller: Caller) -> Iterator[Take]:
        """Be one of the caller's requests under way; yields what takes bytes. Raises Busy, TooManyAtOnce."""
        share, taken = self._bytes(caller), 0

        def take(count: int, *, beyond: bool = False) -> None:
            nonlocal taken
            share.take(caller.name, count, beyond=beyond)
            taken += count

        self._under_way.take(caller.name)
        try:
            take(0)  # a caller that leaves too many answers unread gets no other one
            yield take
        finally:
            self._under_way.give(caller.name)
            share.give(caller.name, taken)

    async def _answer(self, environ: Environ, send: Send, caller: Caller) -> Whole | None:
        """Return the answer; None when the thread has sent it. While the database is away it is answered without."""
        try:
            return await self._watched(environ, send, caller)
        except DatabaseAway:
            if (without := self._while_away.get(environ["PATH_INFO"])) is None:
                raise
            answer = await asyncio.to_thread(without, str(environ.get("HTTP_AUTHORIZATION", "")))
            headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
            return Whole(answer.status_code, headers, answer.content)

    async def _watched(self, environ: Environ, send: Send, caller: Caller) -> Whole | None:
        """Wait for an answer, and for the database where that takes long or fails. Raises DatabaseAway."""
        if self._watch is None:
            return await self._in_a_thread(environ, send, caller)
        if self._watch.is_away:
            raise DatabaseAway
        answer = asyncio.create_task(self._in_a_thread(environ, send, caller))
        while not (await asyncio.wait({answer}, timeout=SLOW_SECONDS))[0] and _STREAMED not in environ:
            if not await self._watch.answers() and not answer.done() and _STREAMED not in environ:
                answer.cancel()
                raise DatabaseAway
        whole = await answer
        is_failure = whole is not None and (
            whole.status == HTTPStatus.INTERNAL_SERVER_ERROR
            or (whole.status == HTTPStatus.SERVICE_UNAVAILABLE and environ["PATH_INFO"] in self._while_away)
        )
        if is_failure and not await self._watch.answers():
            raise DatabaseAway
        return whole

    async def _in_a_thread(self, environ: Environ, send: Send, caller: Caller) -> Whole | None:
        await self._places.take(caller)
        try:
            self._bytes(caller).take(caller.name, 0)  # while it waited its other answers may have come, and lie unread
        except DomainError:
            self._places.leave(caller)
            self._places.end(caller)
            raise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Whole | None] = loop.create_future()

        def leave() -> None:
            loop.call_soon_threadsafe(self._places.leave, caller)

        request = shares.Request(caller.name, leave)

        def end(_: object) -> None:
            if not request.is_aside:
                self._places.leave(caller)
            self._places.end(caller)

        job = loop.run_in_executor(self._pool, self._work, environ, request, AnswerWay(loop, send, answer))
        job.add_done_callback(end)
        whole = await answer
        await asyncio.shield(job)  # the place is free before the answer is sent; a long one is sent by then
        return whole

    def _work(self, environ: Environ, request: shares.Request, sending: AnswerWay) -> None:
        """Answer, in a thread. A long answer of a signed-in caller is sent as it is made, aside."""
        started, answered = Started(), None
        with shares.acting(request):
            try:
                answered = self._answering(environ, started)
                pieces = iter(answered)
                begun = bytearray()
                for piece in pieces:
                    if begun and len(begun) + len(piece) > LONG and environ.get(SIGNED_IN):
                        request.take(LONG_ANSWERS)
                        environ[_STREAMED] = True
                        sending.stream(started, itertools.chain([bytes(begun), piece], pieces))
                        return
                    begun += piece
                sending.settle(Whole(started.status, started.headers, bytes(begun)))
            except DomainError as refusal:
                sending.settle(problem(refusal))
            except Exception:
                logger.exception("answer_failed")
                sending.settle(FAILED)
            finally:
                if close := getattr(answered, "close", None):
                    close()
                if request.is_aside:  # those come on top of the threads, and keep no connection of their own
                    connection.close()

    async def _count(self, code: str, caller: Caller) -> None:
        """Count a request of a stranger that was not taken, in a thread of strangers."""
        with contextlib.suppress(Busy):
            await self._places.take(caller)
            try:
                await asyncio.get_running_loop().run_in_executor(self._pool, _counted, code, caller.name)
            finally:
                self._places.leave(caller)
                self._places.end(caller)


def _counted(code: str, source: str) -> None:
    close_old_connections()
    with contextlib.suppress(Error, clock.ClockUnknown):
        refusals.count_stranger(code, source)
    close_old_connections()


def _digest(credential: str) -> bytes:
    return hashlib.blake2s(credential.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_STREAMED: Final = "mandate.streamed"
"""The key of a request's environment for that its answer has begun."""
