"""The events of a legacy client's stream, kept so that the client may come back for them at any node (GW-16).

An event has an id of ours: the sealed name of its stream, which holds the session and a random box, and its number
there. What was said is written, sealed, into that box (`node_messages`), several events together, beside the client's
own stream and never before an answer that comes at once: such an answer is no stream. All of it is bounded: what does
not fit is not kept, and who comes back for it is told so.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.keys import in_use, session_keys
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node_messages.messages import BoxFull
from entitlements.upstream import sse

PURPOSE: Final = "stream-event"
KEPT_SECONDS: Final = 600.0
"""As long as the longest call, and again as long."""
MOST_EVENTS: Final = 1_000
MOST_BYTES: Final = 1024 * 1024
"""Of one stream."""
MOST_OF_AN_AGENT: Final = 16 * 1024 * 1024
MOST_OF_A_NODE: Final = 256 * 1024 * 1024
"""Octets that are kept at one time, of one agent and of all, as one node has written them."""
LARGEST_ARGUMENTS: Final = 64 * 1024
"""A call with more is not kept: who comes back for it is asked about again, with its arguments."""
_FIRST_SECONDS, _MORE_SECONDS = 0.02, 0.01
"""How long events are collected before they are written: a little longer each time, so that a stream that says much
for the longest time is some hundred messages."""
_TRIES: Final = 3
_TRY_AGAIN_SECONDS: Final = 0.5


class StreamName(msgspec.Struct, frozen=True, array_like=True):
    """What the id of an event holds, sealed: whose stream it is of, and where that is kept. `began` in epoch seconds.

    `is_call` tells the stream of a call from that of a session.
    """

    session: UUID
    box: UUID
    is_call: bool
    began: float


class CallAsked(msgspec.Struct, frozen=True, array_like=True):
    """What is decided again before the events of a call are handed out: what was called. The first in its box."""

    system: str
    tool: str
    arguments: dict[str, Any]
    id: bytes


class Events(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """Events in order, of which the first has a number; whether the last is the stream's last."""

    first: int
    events: list[bytes]
    is_last: bool = False


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """Where a stream stands that is kept no further, and who goes on.

    `number` is that of the last event, `upstream` the last event of the system's own stream, `listed` a digest of each
    list as its client last saw it, and `next` the box in which the same stream goes on. A stream that `is_lost` lacks
    what came then: it did not fit, or its client did not come back in time.
    """

    is_lost: bool = False
    upstream: str = ""
    listed: dict[str, str] | None = None
    next: UUID | None = None
    number: int = 0


_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")
_encode: Final = msgspec.msgpack.Encoder().encode
_read_name: Final = msgspec.msgpack.Decoder(StreamName).decode
read_call: Final = msgspec.msgpack.Decoder(CallAsked).decode
read_part: Final = msgspec.msgpack.Decoder(Events | Ended).decode


class Room:
    """How many octets this process has in boxes, by agent: what is older than it is kept counts no more."""

    def __init__(self) -> None:
        self._written: deque[tuple[float, str, int]] = deque()
        self._of: Counter[str] = Counter()
        self._all = 0

    def take(self, agent: str, size: int) -> bool:
        """Count what is about to be written; False where it is too much."""
        now = time.monotonic()
        while self._written and self._written[0][0] < now - KEPT_SECONDS:
            _, whose, octets = self._written.popleft()
            self._all -= octets
            self._of[whose] -= octets
            if not self._of[whose]:
                del self._of[whose]
        if self._of[agent] + size > MOST_OF_AN_AGENT or self._all + size > MOST_OF_A_NODE:
            return False
        self._written.append((now, agent, size))
        self._of[agent] += size
        self._all += size
        return True


ROOM: Final = Room()


@dataclass(slots=True)
class KeptStream:
    """One stream as it is written down. `number` is that of the last event; the one before the first is 0."""

    node: Node
    session: ClientSession
    call: CallAsked | None = None
    box: UUID = field(default_factory=uuid4)
    number: int = 0
    _name: str = ""
    _pending: list[bytes] = field(default_factory=list)
    _size: int = 0
    _parts: int = 0
    _is_lost: bool = False
    _writing: asyncio.Task[None] | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self) -> bool:
        """Name the stream; False where it is not kept, and its events have no ids."""
        if self.call is not None and len(_encode(self.call)) > LARGEST_ARGUMENTS:
            return False
        name = StreamName(self.session.id, self.box, self.call is not None, self.node.now())
        try:
            self._name = await session_keys.sealed(self.node.reads(), _encode(name), purpose=PURPOSE)
        except (in_use.KeyMissing, Closed):
            return False
        return True

    @property
    def is_polled(self) -> bool:
        """Whether its client may be left alone for a while, and begins with an event without data."""
        return bool(self._name) and self.session.is_polled

    @property
    def id(self) -> str:
        """The id of the last event; empty where what follows it is not kept."""
        return f"{self._name}.{self.number}" if self._name and not self._is_lost else ""

    @property
    def is_long(self) -> bool:
        """Whether so much was said that what follows had better stand in another box."""
        return self.number >= MOST_EVENTS // 2 or self._size >= MOST_BYTES // 2

    def beginning(self) -> bytes:
        """Return what a stream begins with: the id from which on it may be asked for, and after how long."""
        return sse.priming(self.id, sse.AGAIN_SECONDS) if self.is_polled else b""

    def keep(self, message: bytes) -> str:
        """Keep an event, and return its id, which is empty for one that is not kept."""
        if not self._name or self._is_lost:
            return ""
        self.number, self._size = self.number + 1, self._size + len(message)
        self._is_lost = (
            self.number > MOST_EVENTS
            or self._size > MOST_BYTES
            or not ROOM.take(self.session.agent, len(message))
        )  # fmt: skip
        if not self._is_lost:
            self._pending.append(message)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())
        return self.id

    async def flush(self, *, is_last: bool = False) -> None:
        """Write what is not written yet, now; after the last event of a stream nothing follows."""
        if not self._name:
            return
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        await self._write(is_last=is_last)

    async def end(self, ended: Ended, seconds: float = KEPT_SECONDS) -> None:
        """Say where it stands, after all that was said."""
        await self.flush()
        with contextlib.suppress(Closed, BoxFull, in_use.KeyMissing):
            numbered = msgspec.structs.replace(ended, number=self.number)
            await self.node.messages.put(self.box, _encode(numbered), seconds)

    async def _write_soon(self) -> None:
        while self._pending or self._is_lost:
            await asyncio.sleep(_FIRST_SECONDS + _MORE_SECONDS * self._parts)
            await asyncio.shield(self._write())
            if self._is_lost:
                return

    async def _write(self, *, is_last: bool = False) -> None:
        """Write the events that wait, or that there will be none. What cannot be written is lost."""
        async with self._one_at_a_time:
            for part in self._take_parts(is_last=is_last):
                self._parts += 1
                self._is_lost = not await self._put(_encode(part)) or self._is_lost

    def _take_parts(self, *, is_last: bool) -> list[CallAsked | Events | Ended]:
        """Return what is to be written now, in order."""
        events, self._pending = self._pending, []
        parts: list[CallAsked | Events | Ended] = [self.call] if self._parts == 0 and self.call is not None else []
        first = self.number + 1 - len(events) - self._is_lost  # the event that did not fit has a number, too
        if events or (is_last and not self._is_lost):
            parts.append(Events(first, events, is_last and not self._is_lost))
        return [*parts, Ended(is_lost=True)] if self._is_lost else parts

    async def _put(self, body: bytes) -> bool:
        for _ in range(_TRIES):
            try:
                await self.node.messages.put(self.box, body, KEPT_SECONDS)
            except (BoxFull, in_use.KeyMissing):
                return False
            except Closed:
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            else:
                return True
        return False


async def named(node: Node, last_id: str) -> tuple[StreamName, int] | None:
    """Return the stream that an event is of, and its number there; None for an id that we did not give."""
    name, _, number = last_id.rpartition(".")
    if (
        not number.isascii()
        or not number.isdigit()
        or len(number) > len(str(MOST_EVENTS))
        or number != str(int(number))
    ):
        return None
    try:
        plain = await session_keys.opened(node.reads(), name, purpose=PURPOSE)
        return _read_name(plain), int(number)
    except (session_keys.NotOurs, msgspec.MsgspecError):
        return None
