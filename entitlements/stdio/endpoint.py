"""One child as an address that requests go to: JSON-RPC, a line each way (MCP 2025-11-25, transports, stdio).

A child answers all its requests on one stream, so each answer finds its request by the number, and each word of
progress by a token of our own: those of two calls may be the same. What else it says is for who listens
(`stdio_messages`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import aiohttp
import msgspec

from entitlements.stdio.sandbox.start import Child, TooLong
from entitlements.stdio_messages.listener import NO_SESSION, Listener, Origin
from entitlements.stdio_messages.spoken import Spoken
from entitlements.upstream.endpoint import Answer, Endpoint

MOST_PENDING: Final = 64
MOST_UNASKED: Final = 32 * 1024 * 1024
"""How many bytes a child may say between two answers: reading them costs everybody's time."""
CALL_SECONDS: Final = 300.0
LONGEST_LINE: Final = 4 * 1024 * 1024
_EVENTS: Final = {"Content-Type": "text/event-stream"}
_SECRETS: Final = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:bearer|basic)\s+\S+|[A-Za-z0-9+/_=-]{24,}"
    r"|(?i:\b\w*(?:secret|token|password|passwd|api_?key)\w*)\s*[=:]\s*\S+"
)
_UNPRINTABLE: Final = re.compile(r"[^\t\n\x20-\x7e\xa1-\ud7ff\ue000-\uffef]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_TEXT: Final = 600


class _Message(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"")
    method: str = ""


_read_message: Final = msgspec.json.Decoder(_Message)
_read: Final = msgspec.json.Decoder()
_write: Final = msgspec.json.Encoder().encode


class ChildEndpoint(Endpoint):
    """A running child. It ends when its streams do, when it says something too long, or when it is ended.

    `streams` listen to whatever child their caller has; they end with this one. `changed` hears of its list of tools.
    """

    def __init__(
        self,
        child: Child,
        streams: list[Listener] | None = None,
        changed: Callable[[], None] = lambda: None,
        *,
        is_shared: bool = False,
    ) -> None:
        super().__init__("stdio://child")
        self._child = child
        self._pending: dict[int, Listener] = {}
        self._streams = [] if streams is None else streams
        self._spoken = Spoken(self._pending, self._streams, self._child.write, changed, is_shared=is_shared)
        self._idle = asyncio.Event()
        self._idle.set()
        self._unasked = 0
        self._reading = asyncio.create_task(self._read())
        self.problem = ""
        """Why it ended by itself: empty while it runs, and where it was ended."""

    @property
    def is_over(self) -> bool:
        """Whether no request reaches it any more."""
        return self._reading.done()

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for it, or a stream for a resource that it watches."""
        return bool(self._pending) or self._spoken.has_listener

    @property
    def stderr(self) -> str:
        """Return the end of its standard error for the owner: short, printable, without what looks like a secret."""
        return _UNPRINTABLE.sub("?", _SECRETS.sub("[removed]", self._child.stderr))[-_LONGEST_TEXT:]

    async def post[T](
        self,
        http: aiohttp.ClientSession,  # noqa: ARG002 - an address has one
        headers: Mapping[str, str],  # noqa: ARG002 - as above
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
        origin: Origin = NO_SESSION,
    ) -> T:
        """Hand the child one message and return what `take` makes of its answer. Raises TimeoutError, OSError.

        As of any address: `gate` is called synchronously before the first byte, and what it raises is raised here.
        An answer to something that the child did not ask this origin gets the status 404, and goes nowhere.
        """
        message = _read.decode(body)
        number = message.get("id")
        if self.is_over or len(self._pending) >= MOST_PENDING:
            raise ConnectionRefusedError
        async with asyncio.timeout(CALL_SECONDS):
            if "method" not in message:
                is_taken = await self._spoken.answer(message, origin)
                return await take(_notice(HTTPStatus.ACCEPTED if is_taken else HTTPStatus.NOT_FOUND))
            if number is None:
                await self._hand(body, gate)
                return await take(_notice(HTTPStatus.ACCEPTED))
            pending = self._pending[number] = Listener(origin, _own_token(message, number))
            self._idle.clear()
            try:
                known = self._spoken.subscribe(message, origin)
                await self._hand(_write(message) if known is None else b"", gate)
                if known is not None:
                    pending.put(_write({"jsonrpc": "2.0", "id": number, **known}), is_last=True)
                return await take(Answer(HTTPStatus.OK, _EVENTS, pending.body()))
            finally:
                self._pending.pop(number, None)
                await self._spoken.forget(pending)
                if not self._pending:
                    self._idle.set()

    async def leave(self, session: UUID) -> None:
        """End what a session subscribed to, which is over."""
        with contextlib.suppress(OSError):
            await self._spoken.leave(session)

    async def forget(self, stream: Listener) -> None:
        """Let the child know that what this stream was asked gets no answer any more."""
        with contextlib.suppress(OSError):
            await self._spoken.forget(stream)

    async def idle(self) -> None:
        """Wait until no request waits for it."""
        await self._idle.wait()

    async def end(self) -> Mapping[str, Any]:
        """End the child; what waits for it gets no answer. Returns how it ended."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        return await self._child.end()

    async def _hand(self, line: bytes, gate: Callable[[], None] | None) -> None:
        if gate is not None:
            gate()
        if line:
            await self._child.write(line)

    async def _read(self) -> None:
        try:
            while line := await self._child.read():
                self._unasked += len(line)
                await self._take(line.strip())
                if self._unasked > MOST_UNASKED:
                    self.problem = "says_too_much"
                    return
            self.problem = "ended"
        except TooLong:
            self.problem = "message_too_long"
        except OSError:
            self.problem = "ended"
        finally:
            for each in (*self._pending.values(), *self._streams):
                each.end()

    async def _take(self, line: bytes) -> None:
        try:
            message = _read_message.decode(line)
            known: Any = _read.decode(line) if message.method or b"\r" in line else None
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return  # no message: many servers write other things too
        if message.method:
            await self._spoken.take(message.method, known)
            return
        with contextlib.suppress(ValueError):
            if (pending := self._pending.get(int(bytes(message.id)))) is not None:
                self._unasked = 0
                pending.put(line if known is None else _write(known), is_last=True)


class CallerEndpoint(Endpoint):
    """A running child, as one caller's client reaches it."""

    def __init__(self, child: Endpoint, origin: Origin) -> None:
        super().__init__("stdio://child")
        self._child, self._origin = child, origin

    async def post[T](
        self,
        http: aiohttp.ClientSession,
        headers: Mapping[str, str],
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """Do as `ChildEndpoint.post`."""
        assert isinstance(self._child, ChildEndpoint)  # noqa: S101 - for the type checker
        return await self._child.post(http, headers, body, take, gate=gate, origin=self._origin)


def _own_token(message: dict[str, Any], number: int) -> object:
    """Put our own number in the place of the client's progress token. Returns the client's."""
    meta = message.get("params", {}).get("_meta")
    token: object = meta.get("progressToken") if isinstance(meta, dict) else None
    if token is not None:
        meta["progressToken"] = number
    return token


def _notice(status: HTTPStatus) -> Answer:
    """Return an answer without a body."""
    return Answer(status, {}, Listener().body())
