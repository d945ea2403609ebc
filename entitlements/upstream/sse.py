"""Server-sent events, as MCP uses them: a stream of bytes in, the data of each event out; and back. Pure."""

from __future__ import annotations

import re
from typing import Final

HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]
"""Of an answer that is a stream."""
KEEP_ALIVE: Final = b": keep-alive\n\n"
AGAIN_SECONDS: Final = 1.0
"""How long to wait before a stream that ended is asked for again, where its server says nothing of it."""
LONGEST_AGAIN: Final = 30.0
LONGEST_ID: Final = 1024
"""Octets of an event's id that we would repeat in a header."""
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)


class TooLarge(ValueError):
    """One event is larger than allowed."""


class Reader:
    """Collects chunks and gives back the data of every event that is complete (HTML standard, section 9.2.6)."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._id: str | None = None
        self.last_id: str | None = None
        """The id of the last complete event that has one, empty where it cannot be asked for; None until there is one.
        """
        self.again: float | None = None
        """Seconds after which the sender wants to be asked again, None until it says so."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk; return the data of the events it completed. Raises TooLarge.

        Costs what the chunk costs, however much waits for its line's end: the sender chooses both.
        """
        if len(self._rest) + self._size > self._largest:
            raise TooLarge
        seen = max(0, len(self._rest) - 1)
        self._rest += chunk
        complete: list[bytes] = []
        start = 0
        for begin, end in [match.span() for match in _LINE_END.finditer(self._rest, seen)]:
            self._line(bytes(self._rest[start:begin]), complete)
            start = end
        del self._rest[:start]
        return complete

    def _line(self, line: bytes, complete: list[bytes]) -> None:
        if not line:
            if self._data:
                complete.append(b"\n".join(self._data))
            self._data, self._size = [], 0
            self.last_id = self.last_id if self._id is None else self._id
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id":
            self._id = _repeatable(value)
        elif name == b"retry" and value.isdigit():
            self.again = min(int(value[:9]) / 1000, LONGEST_AGAIN)
        elif name == b"data":
            self._data.append(value)
            self._size += len(value) + 1  # with its line end: empty lines fill the memory as well
            if self._size > self._largest:
                raise TooLarge


def event(message: bytes, number: str = "") -> bytes:
    """Write one JSON-RPC message as an event, with an id; the message is compact JSON, so it has no line ends."""
    named = f"id: {number}\n".encode() if number else b""
    return named + b"event: message\ndata: " + message + b"\n\n"


def priming(number: str, seconds: float) -> bytes:
    """Write the event without data that a stream begins with: from it on the client may ask again, after so long."""
    return f"id: {number}\nretry: {round(seconds * 1000)}\ndata: \n\n".encode()


def _repeatable(value: bytes) -> str:
    """Return the id of an event as a header holds it, nothing for one that a header cannot hold."""
    is_plain = len(value) <= LONGEST_ID and value.isascii() and value.decode("latin-1").isprintable()
    return value.decode("ascii") if is_plain else ""
