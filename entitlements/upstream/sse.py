"""Server-sent events, as MCP uses them: a stream of bytes in, the data of each event out; and back. Pure."""

from __future__ import annotations

import re
from typing import Final

KEEP_ALIVE: Final = b": keep-alive\n\n"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)
_ID: Final = re.compile(rb"[!-~]([ -~]{0,510}[!-~])?|")
_NUMBER: Final = re.compile(rb"[0-9]{1,9}")


class TooLarge(ValueError):
    """One event is larger than allowed."""


class Reader:
    """Collects chunks and gives back the data of every event that is complete (HTML standard, section 9.2.6).

    `last_id` is that of the newest event with one, and `retry` the milliseconds that the sender wants a client to wait
    before it asks again; what could not be sent back in a header is no id.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.last_id = ""
        self.retry: int | None = None
        self.begin()

    def begin(self) -> None:
        """Read another stream, which goes on where the last one ended; of an event that was cut off nothing is left."""
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._id = self.last_id

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
            self._data, self._size, self.last_id = [], 0, self._id
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"id" and _ID.fullmatch(value):
            self._id = value.decode()
        elif name == b"retry" and _NUMBER.fullmatch(value):
            self.retry = int(value)
        elif name == b"data":
            self._data.append(value)
            self._size += len(value) + 1  # with its line end: empty lines fill the memory as well
            if self._size > self._largest:
                raise TooLarge


def event(message: bytes) -> bytes:
    """Write one JSON-RPC message as an event; the message is compact JSON, so it has no line ends."""
    return b"event: message\ndata: " + message + b"\n\n"
