"""One HTTP request and its answer, as plain ASGI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec

from audit import client_address
from entitlements.codes import Code
from entitlements.dpop.proofs import Proof
from entitlements.node.refusals import Refused
from entitlements.rest.headers import ONCE
from entitlements.upstream import sse

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Header = tuple[bytes, bytes]

FORWARDED_FOR: Final = client_address.HEADER.lower().encode()
LARGEST_BODY: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 20.0
"""Seconds for a whole body, however many pieces it comes in."""
JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
_WAYS: Final = ("application/json", "text/event-stream")
_WEIGHT: Final = re.compile(r"[01](?:\.[0-9]{0,3})?")
encode: Final = msgspec.json.Encoder().encode


class Disconnected(Exception):
    """The client disconnected before it had sent its whole request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON, NO_STORE)

    @classmethod
    def of(cls, status: int, value: object, *headers: Header) -> Answer:
        """Return a JSON answer."""
        return cls(status, encode(value), (JSON, NO_STORE, *headers))

    def as_event(self) -> Answer:
        """Return the same as a stream of one event, for which no client has to come back."""
        others = [header for header in self.headers if header not in (JSON, NO_STORE)]
        return Answer(self.status, sse.event(self.body), (*sse.HEADERS, *others))


@dataclass(slots=True)
class Request:
    """What the client sent. Header names are lower case; `headers` keeps the first of each, `repeated` the rest."""

    method: str
    path: str
    raw: Iterable[Header]
    receive: Receive
    send: Send
    source: str = ""
    query: bytes = b""
    raw_path: bytes = b""
    """The path as it came, not decoded."""
    has_begun: bool = False
    proof: Proof | None = None
    """A proof of possession that was checked and is not used up yet (`possession.py`)."""
    content: bytes | None = None
    """The body, once it was read."""
    headers: dict[bytes, bytes] = field(init=False)
    repeated: set[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Index the headers."""
        self.headers, self.repeated = {}, set()
        for name, value in self.raw:
            if name in self.headers:
                self.repeated.add(name)
            else:
                self.headers[name] = value

    @classmethod
    def of(cls, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> Request:
        """Return the request of an ASGI scope."""
        request = cls(scope["method"], scope["path"], scope["headers"], receive, send)
        request.query, request.raw_path = scope.get("query_string", b""), scope.get("raw_path") or b""
        request.source = source_of(scope)

        async def send_and_note(message: Message) -> None:
            request.has_begun = True
            await send(message)

        request.send = send_and_note
        return request

    def header(self, name: str) -> str | None:
        """Return a header's value, None when it is absent. Raises Refused when it is there twice or is no text."""
        key = name.encode()
        if key in self.repeated:
            raise Refused(Code.HEADER_MISMATCH, f"The header {name} is there more than once.")
        value = self.headers.get(key)
        if value is None:
            return None
        try:
            return value.decode("ascii").strip()
        except UnicodeDecodeError as why:
            raise Refused(Code.HEADER_MISMATCH, f"The header {name} is not ASCII.") from why

    @property
    def prefers_events(self) -> bool:
        """Whether the client would rather have a stream of events than JSON: by weight, and what it names first."""
        weights: dict[str, float] = {}
        for accepted in self.headers.get(b"accept", b"").decode("latin-1").lower().split(","):
            media, *parameters = (part.strip() for part in accepted.split(";"))
            given = [part[2:] for part in parameters if part.startswith("q=")]
            weights.setdefault(media, _weight(given[0]) if given else 1.0)
        best = max(_WAYS, key=lambda way: (weights.get(way, 0.0), -[*weights, way].index(way)))
        return best == _WAYS[1] and bool(weights.get(best))

    def check_single(self) -> None:
        """Refuse a header that has one value and is there twice: whom we ask and whom a proxy asked would differ."""
        for name in sorted(ONCE - {"dpop"}):  # which has an error of its own (RFC 9449, section 4.3)
            self.header(name)

    async def body(self, largest: int = LARGEST_BODY) -> bytes:
        """Read the body, once. Raises Refused when it is too large or too slow, Disconnected."""
        if self.content is not None:
            return self.content
        length = self.headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > largest:
            raise _too_large()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                self.content = await self._pieces(largest)
                return self.content
        except TimeoutError as why:
            raise Refused(Code.MALFORMED_CALL, "The body takes too long.", status=HTTPStatus.REQUEST_TIMEOUT) from why

    async def _pieces(self, largest: int) -> bytes:
        parts = bytearray()
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            piece: bytes = message.get("body", b"")
            if len(parts) + len(piece) > largest:
                raise _too_large()
            if not message.get("more_body"):
                return bytes(parts) + piece if parts else piece
            parts += piece

    async def until_gone(self) -> None:
        """Return when the client has gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer."""
        length = (b"content-length", str(len(answer.body)).encode())
        await self.send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
        await self.send({"type": "http.response.body", "body": answer.body})


class Responder(Protocol):
    """Where the answer goes."""

    async def finish(self, answer: Answer) -> None:
        """Send the answer, or its last part, once."""

    def keep_alive(self) -> None:
        """Keep the connection alive from now on."""

    def close(self) -> None:
        """Do nothing more."""


class Stream(Responder, Protocol):
    """Where what an upstream says goes, message by message."""

    async def event(self, message: bytes) -> None:
        """Send one message."""

    async def pause(self, seconds: float) -> None:
        """Let a client that can come back do so after so long."""


def _weight(text: str) -> float:
    """Read the weight of a media type (RFC 9110 section 12.4.2); what is none counts as nothing."""
    return float(text) if _WEIGHT.fullmatch(text) else 0.0


def source_of(scope: Mapping[str, Any]) -> str:
    """Return who is asking, by address: the peer, or whom trusted proxies name (`audit/client_address.py`)."""
    forwarded = b",".join(value for name, value in scope.get("headers", ()) if name.lower() == FORWARDED_FOR)
    peer = scope.get("client")
    return client_address.resolve(str(peer[0]) if peer else "", forwarded.decode("latin-1"))


def _too_large() -> Refused:
    return Refused(Code.MALFORMED_CALL, "The body is too large.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
