"""One child as an address that requests go to: JSON-RPC, a line each way (MCP 2025-11-25, transports, stdio).

A child answers all its requests on one stream, so each answer finds its request by the number, and each word of
progress by a token of our own: those of two calls may be the same. What belongs to no request is read and left.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
import msgspec

from entitlements.stdio.sandbox.start import Child, TooLong
from entitlements.upstream import sse
from entitlements.upstream.endpoint import Answer, Endpoint

MOST_PENDING: Final = 64
MOST_PROGRESS: Final = 64
"""Words of progress that wait for a client that reads slowly; what comes then is left out."""
MOST_UNASKED: Final = 32 * 1024 * 1024
"""How many bytes a child may say between two answers: reading them costs everybody's time."""
CALL_SECONDS: Final = 300.0
LONGEST_LINE: Final = 4 * 1024 * 1024
LIST_CHANGED: Final = "notifications/tools/list_changed"
_EVENTS: Final = {"Content-Type": "text/event-stream"}
_METHOD_NOT_FOUND: Final = {"code": -32601, "message": "The gateway offers nothing to a server."}
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


class _Pending:
    """One request that waits: what came for it, and the token under which its client wants to hear of progress."""

    def __init__(self, token: object) -> None:
        self.token = token
        self._events: deque[bytes] = deque()
        self._is_over = False
        self._came = asyncio.Event()

    def put(self, line: bytes, *, is_last: bool) -> None:
        if is_last or len(self._events) < MOST_PROGRESS:
            self._events.append(sse.event(line))
        self._is_over |= is_last
        self._came.set()

    def end(self) -> None:
        self._is_over = True
        self._came.set()

    async def readany(self) -> bytes:
        """Return the next event; nothing when there is none to come."""
        while not self._events and not self._is_over:
            self._came.clear()
            await self._came.wait()
        return self._events.popleft() if self._events else b""


class ChildEndpoint(Endpoint):
    """A running child. It ends when its streams do, when it says something too long, or when it is ended."""

    def __init__(self, child: Child, tools_changed: Callable[[], None] = lambda: None) -> None:
        """Take a child, and what hears that it says that its tools changed."""
        super().__init__("stdio://child")
        self._child, self._tools_changed = child, tools_changed
        self._pending: dict[int, _Pending] = {}
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
        """Whether a request waits for it."""
        return bool(self._pending)

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
    ) -> T:
        """Hand the child one message and return what `take` makes of its answer. Raises TimeoutError, OSError.

        As of any address: `gate` is called synchronously before the first byte, and what it raises is raised here.
        """
        message = _read.decode(body)
        number = message.get("id")
        if self.is_over or len(self._pending) >= MOST_PENDING:
            raise ConnectionRefusedError
        async with asyncio.timeout(CALL_SECONDS):
            if number is None:
                await self._hand(body, gate)
                return await take(Answer(HTTPStatus.ACCEPTED, {}, _body(_Pending(None))))
            pending = self._pending[number] = _Pending(_own_token(message, number))
            self._idle.clear()
            try:
                await self._hand(_write(message), gate)
                return await take(Answer(HTTPStatus.OK, _EVENTS, _body(pending)))
            finally:
                self._pending.pop(number, None)
                if not self._pending:
                    self._idle.set()

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
            for pending in self._pending.values():
                pending.end()

    async def _take(self, line: bytes) -> None:
        try:
            message = _read_message.decode(line)
            known = _read.decode(line) if message.method or b"\r" in line else None
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return  # no message: many servers write other things too
        if message.method:
            await self._take_method(message.method, known)
            return
        with contextlib.suppress(ValueError):
            if (pending := self._pending.get(int(bytes(message.id)))) is not None:
                self._unasked = 0
                pending.put(line if known is None else _write(known), is_last=True)

    async def _take_method(self, method: str, message: Any) -> None:  # noqa: ANN401 - any JSON object
        if (number := message.get("id")) is not None:
            answer = {"result": {}} if method == "ping" else {"error": _METHOD_NOT_FOUND}
            await self._child.write(_write({"jsonrpc": "2.0", "id": number, **answer}))
            return
        if method == LIST_CHANGED:
            self._tools_changed()
        params = message.get("params")
        if method == "notifications/progress" and isinstance(params, dict):
            token = params.get("progressToken")
            pending = self._pending.get(token) if isinstance(token, int) else None
            if pending is not None and pending.token is not None:
                params["progressToken"] = pending.token
                pending.put(_write(message), is_last=False)


def _own_token(message: dict[str, Any], number: int) -> object:
    """Put our own number in the place of the client's progress token. Returns the client's."""
    meta = message.get("params", {}).get("_meta")
    token: object = meta.get("progressToken") if isinstance(meta, dict) else None
    if token is not None:
        meta["progressToken"] = number
    return token


def _body(pending: _Pending) -> aiohttp.StreamReader:
    """Return what is read as the body of an answer is: all that a reader of events calls is `readany`."""
    return cast("aiohttp.StreamReader", pending)
