"""Many relayed connections over one link: frames of two sides that carry bytes which neither of them reads.

A frame is its kind (one byte), the number of its stream (four bytes), and content. The node opens streams, the
connector never does. Each direction of a stream begins with a credit of `WINDOW` bytes, and gets as much more as the
other side has passed on: so a reader that is slow holds up its own stream, costs a bounded buffer, and no other waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Final

WINDOW: Final = 256 * 1024
"""Bytes under way in one direction of one stream."""
LARGEST: Final = 32 * 1024
"""Bytes in one frame."""
MOST_STREAMS: Final = 256
"""Streams of one link."""
IDLE_SECONDS: Final = 310.0
"""A stream that moves nothing for so long ends; no call takes longer."""
_HEAD: Final = struct.Struct("!BI")
_NUMBER: Final = struct.Struct("!I")

type SendFrame = Callable[[bytes], Awaitable[None]]


class Kind(IntEnum):
    """What a frame says."""

    OPEN = 1
    """Connect to the host and port in the content."""
    OPENED = 2
    DATA = 3
    CREDIT = 4
    """So many bytes more may be sent."""
    END = 5
    """No more bytes come from this side."""
    RESET = 6
    """The stream is over, both ways; the content is one word that says why."""


class BrokenLink(ConnectionError):
    """The other side broke the rules of frames, or is gone."""


class Refused(ConnectionError):
    """The other side did not open the stream, or ended it; `word` says why."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Stream:
    """One relayed connection, both ways."""

    def __init__(self, link: Link, number: int, target: str) -> None:
        self.target = target
        self._link, self._number = link, number
        self._arrived: deque[bytes] = deque()
        self._held = self._taken = 0
        self._credit = WINDOW
        self._has_ended = self._is_over = False
        self._word = ""
        self._changed = asyncio.Event()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        """Return what has arrived; nothing once the other side has sent all. Raises Refused."""
        while not self._arrived:
            if self._has_ended:
                return b""
            if self._is_over:
                raise Refused(self._word)
            await self._change()
        piece = self._arrived.popleft()
        self._held -= len(piece)
        self._taken += len(piece)
        if self._taken >= WINDOW // 2 and not self._is_over:
            taken, self._taken = self._taken, 0
            await self._link.send(Kind.CREDIT, self._number, _NUMBER.pack(taken))
        return piece

    async def write(self, octets: bytes) -> None:
        """Send bytes, as far as there is credit, and wait for more. Raises Refused, BrokenLink."""
        rest = memoryview(octets)
        while rest:
            while not self._credit and not self._is_over:
                await self._change()
            if self._is_over:
                raise Refused(self._word)
            piece = rest[: min(LARGEST, self._credit)]
            self._credit -= len(piece)
            rest = rest[len(piece) :]
            await self._link.send(Kind.DATA, self._number, bytes(piece))

    async def end(self) -> None:
        """Say that nothing more comes from here."""
        if not self._is_over:
            await self._link.send(Kind.END, self._number)

    async def accept(self) -> None:
        """Say that the connection stands."""
        await self._link.send(Kind.OPENED, self._number)

    async def reset(self, word: str) -> None:
        """End it both ways, and say why; after an end of both directions the other side knows already."""
        if not self._is_over:
            self.finish(word)
            await self._link.send(Kind.RESET, self._number, word.encode())
        self._link.forget(self._number)

    def finish(self, word: str) -> None:
        """Let everyone who waits for this stream know that it is over."""
        self._is_over, self._word = True, word
        if not self.opened.done():
            self.opened.set_exception(Refused(word))
            self.opened.exception()  # that no task waits for it is no fault
        self._changed.set()

    def take(self, kind: Kind, content: bytes) -> None:
        """Take a frame of the other side. Raises BrokenLink."""
        match kind:
            case Kind.OPENED if not self.opened.done():
                self.opened.set_result(None)
            case Kind.DATA if content:
                self._held += len(content)
                if self._has_ended or self._held + self._taken > WINDOW:
                    raise BrokenLink("more bytes than there was credit for")
                self._arrived.append(content)
            case Kind.CREDIT if len(content) == _NUMBER.size:
                self._credit += _NUMBER.unpack(content)[0]
                if self._credit > WINDOW:
                    raise BrokenLink("more credit than was used")
            case Kind.END:
                self._has_ended = True
            case Kind.RESET:
                self.finish(content.decode("ascii", "replace")[:64])
                self._link.forget(self._number)
            case _:
                raise BrokenLink("a frame that does not belong here")
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Link:
    """The streams of one connection between a node and a connector."""

    def __init__(self, send: SendFrame, serve: Callable[[Stream], None] | None = None) -> None:
        """Send frames by `send`. A connector serves the streams that the node opens; a node serves none."""
        self._send, self._serve = send, serve
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self.is_over = False

    def __len__(self) -> int:
        return len(self._streams)

    async def open(self, target: str) -> Stream:
        """Open a stream to a `host:port` and wait until it stands. Raises Refused, BrokenLink."""
        if self.is_over or len(self._streams) >= MOST_STREAMS:
            raise Refused("busy")
        self._last += 1
        stream = self._streams[self._last] = Stream(self, self._last, target)
        try:
            await self.send(Kind.OPEN, self._last, target.encode())
            await stream.opened
        except BaseException:
            with contextlib.suppress(ConnectionError):
                await stream.reset("withdrawn")
            raise
        return stream

    async def take(self, frame: bytes) -> None:
        """Take a frame as it arrived; it waits for the link alone. Raises BrokenLink."""
        if len(frame) < _HEAD.size or len(frame) > _HEAD.size + LARGEST:
            raise BrokenLink("a frame of a wrong size")
        code, number = _HEAD.unpack_from(frame)
        content = frame[_HEAD.size :]
        try:
            kind = Kind(code)
        except ValueError as why:
            raise BrokenLink("a frame of no kind") from why
        if kind is Kind.OPEN:
            await self._opened(number, content)
        elif (stream := self._streams.get(number)) is not None:
            stream.take(kind, content)
        # a frame of a stream that is over here was under way

    async def _opened(self, number: int, content: bytes) -> None:
        if self._serve is None or number <= self._last:
            raise BrokenLink("a stream that must not be opened")
        self._last = number
        if len(self._streams) >= MOST_STREAMS:
            await self.send(Kind.RESET, number, b"busy")
            return
        stream = self._streams[number] = Stream(self, number, content.decode("ascii", "replace"))
        self._serve(stream)

    async def send(self, kind: Kind, number: int, content: bytes = b"") -> None:
        """Send a frame. Raises BrokenLink."""
        if self.is_over:
            raise BrokenLink("the link is over")
        await self._send(_HEAD.pack(kind, number) + content)

    def forget(self, number: int) -> None:
        """Let go of a stream that is over."""
        self._streams.pop(number, None)

    def close(self) -> None:
        """End all streams: nothing arrives any more, and nothing is sent."""
        self.is_over = True
        for stream in list(self._streams.values()):
            stream.finish("link_lost")
        self._streams.clear()


async def relay(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes between a stream and a connection until both directions have ended, or one breaks, or it is idle."""
    moved = asyncio.get_running_loop().time()

    def note() -> None:
        nonlocal moved
        moved = asyncio.get_running_loop().time()

    tasks = [asyncio.create_task(_outward(stream, reader, note)), asyncio.create_task(_inward(stream, writer, note))]
    word = "ended"
    try:
        waits = set(tasks)
        while waits:
            done, waits = await asyncio.wait(waits, timeout=IDLE_SECONDS / 10, return_when=asyncio.FIRST_EXCEPTION)
            if any(task.exception() is not None for task in done):
                word = "connection_lost"
                break
            if asyncio.get_running_loop().time() - moved > IDLE_SECONDS:
                word = "idle"
                break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if word == "ended":
            writer.close()
        else:
            writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await stream.reset(word)


async def _outward(stream: Stream, reader: asyncio.StreamReader, note: Callable[[], None]) -> None:
    while piece := await reader.read(LARGEST):
        note()
        await stream.write(piece)
    await stream.end()


async def _inward(stream: Stream, writer: asyncio.StreamWriter, note: Callable[[], None]) -> None:
    while piece := await stream.read():
        note()
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
