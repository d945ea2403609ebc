"""A request for a child of another node: sealed, for that node alone, once and at once; and its answer, sealed too.

Both nodes have the key-encryption key, so what opens was said by a node of this installation. What is sealed names the
receiver and its present start, a moment and a number that is used once; the answer names the request and the place of
each piece, so nothing of it is missing, repeated or another's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

import aiohttp
import msgspec

from audit import clock
from entitlements.secrets import seal
from entitlements.stdio.endpoint import CALL_SECONDS
from entitlements.stdio.places import Elsewhere
from entitlements.stdio_messages.listener import NO_SESSION, Origin
from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer, Endpoint

PATH: Final = "/internal/stdio"
PURPOSE: Final = "stdio-request"
LISTEN: Final = "node/listen"
"""The method, known to nodes alone, whose answer is what a child says beside its answers, for as long as it runs."""
FRESH_SECONDS: Final = 10.0
"""How old what another node sends may be, or from how far in the future, by both clocks."""
MOST_NUMBERS: Final = 100_000
LARGEST: Final = 20 * 1024 * 1024
CONNECT_SECONDS: Final = 2.0
_LENGTH: Final = 4
_MORE, _LAST = b"\x00", b"\x01"
_EVENTS: Final = {"Content-Type": "text/event-stream"}


class NotOurs(Exception):
    """What came was not sealed for this process, is too old, or came before."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed for one process: a moment, and a number that is used once."""

    at: float
    number: str


class Asked(Message, frozen=True, kw_only=True):
    """A request, with everything by which the receiver decides about it once more."""

    system: str
    position: int
    """How far the sender has followed the change feed."""
    agent: str
    person: str | None
    client: str
    session: str | None
    chain: tuple[tuple[str, str], ...]
    jti: str
    issued: float
    expires: float
    scopes: tuple[str, ...]
    covers_all: bool
    message: bytes
    origin: Origin = NO_SESSION
    """By what the message comes, so that what the child says beside its answer finds the way back."""


_encode: Final = msgspec.json.Encoder().encode
read_request: Final = msgspec.json.Decoder(Asked).decode


@dataclass(slots=True)
class Inbox[M: Message]:
    """Opens what is sent to one process for a purpose, each once."""

    node: str
    run: UUID
    purpose: str
    read: Callable[[bytes], M]
    _seen: dict[str, float] = field(default_factory=dict)

    def open(self, sealed: bytes) -> M:
        """Return a message. Raises NotOurs, and ClockUnknown."""
        now = clock.now().timestamp()
        try:
            asked = self.read(seal.unseal(sealed, _place(self.node, self.run, self.purpose)))
        except (seal.SealBroken, msgspec.MsgspecError) as why:
            raise NotOurs from why
        if abs(now - asked.at) > FRESH_SECONDS or asked.number in self._seen or not self._has_room():
            raise NotOurs
        self._seen[asked.number] = time.monotonic() + 2 * FRESH_SECONDS
        return asked

    def _has_room(self) -> bool:
        """Forget the oldest numbers that are too old to be taken again."""
        for number in list(self._seen):
            if self._seen[number] > time.monotonic():
                break
            del self._seen[number]
        return len(self._seen) < MOST_NUMBERS


class NodeEndpoint(Endpoint):
    """A child of another node, as an address that requests go to. `ask` makes the request of a message."""

    def __init__(self, place: Elsewhere, ask: Callable[[bytes, float, str], Asked], purpose: str = PURPOSE) -> None:
        super().__init__(place.address)
        self._place, self._ask, self._purpose = place, ask, purpose

    async def post[T](
        self,
        http: aiohttp.ClientSession,
        headers: Mapping[str, str],  # noqa: ARG002 - an upstream's; between nodes there are none
        body: bytes,
        take: Callable[[Answer], Awaitable[T]],
        *,
        gate: Callable[[], None] | None = None,
    ) -> T:
        """Do as `Endpoint.post`. Raises Unreachable too where the other node did not take the message.

        Then its status says that the call was turned away, so that it is not taken for carried out.
        """
        asked = self._ask(body, clock.now().timestamp(), secrets.token_hex(16))
        sealed = seal.seal(_encode(asked), _place(self._place.node, self._place.run, self._purpose))

        async def opened(answer: Answer) -> T:
            if answer.status == HTTPStatus.NOT_FOUND:
                return await take(answer)
            if answer.status == HTTPStatus.ACCEPTED:
                return await take(Answer(HTTPStatus.ACCEPTED, {}, answer.content))
            if answer.status != HTTPStatus.OK:
                raise egress.Unreachable("Another node did not take the call.", status=HTTPStatus.MISDIRECTED_REQUEST)
            return await take(Answer(HTTPStatus.OK, _EVENTS, cast("aiohttp.StreamReader", _Opened(answer, asked))))

        octets = {"Content-Type": "application/octet-stream"}
        return await super().post(http, octets, sealed, opened, gate=gate)


class _Opened:
    """The body of an answer, piece by piece: all that a reader of events calls is `readany`."""

    def __init__(self, answer: Answer, asked: Asked) -> None:
        self._content, self._number, self._place = answer.content, asked.number, 0
        self._is_over = False

    async def readany(self) -> bytes:
        """Return the next piece; nothing at the end. Raises aiohttp.ClientPayloadError for what is not whole."""
        if self._is_over:
            return b""
        try:
            length = int.from_bytes(await self._content.readexactly(_LENGTH))
            if length > LARGEST:
                raise aiohttp.ClientPayloadError
            piece = seal.unseal(await self._content.readexactly(length), _piece(self._number, self._place))
        except (seal.SealBroken, EOFError) as why:
            raise aiohttp.ClientPayloadError from why
        self._place += 1
        self._is_over = piece[:1] == _LAST
        return piece[1:]


async def sealed_pieces(answer: Answer, number: str) -> AsyncIterator[bytes]:
    """Yield what a child answers, sealed for who asked under this number."""
    place = 0
    while piece := await answer.content.readany():
        yield _framed(_MORE + piece, number, place)
        place += 1
    yield _framed(_LAST, number, place)


def pool(seconds: float | None = CALL_SECONDS) -> aiohttp.ClientSession:
    """Open the connections to the internal addresses of other nodes, which the guard of upstreams would refuse.

    `seconds`: how long a request takes at most.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        trust_env=False,
    )


def message_of(asked: Asked) -> dict[str, Any]:
    """Return the message of a request. Raises NotOurs for what is no JSON object."""
    try:
        message = msgspec.json.decode(asked.message)
    except (msgspec.MsgspecError, RecursionError, ValueError) as why:
        raise NotOurs from why
    if not isinstance(message, dict):
        raise NotOurs
    return message


def _framed(piece: bytes, number: str, place: int) -> bytes:
    sealed = seal.seal(piece, _piece(number, place))
    return len(sealed).to_bytes(_LENGTH) + sealed


def _place(node: str, run: UUID, purpose: str = PURPOSE) -> str:
    return f"{purpose}:{node}:{run}"


def _piece(number: str, place: int) -> str:
    return f"stdio-answer:{number}:{place}"
