"""What the listener of a host and its workers say to each other, over a socket that no other process holds.

Each message is one msgpack value, with its length before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from .change import Change

_LENGTH: Final = 4


class Numbers(msgspec.Struct, array_like=True, frozen=True):
    """What one process counts, for its own metrics and those of its host: decisions by effect and code, and so on.

    `waiting` are systems with calls under way, how many, and whether they are paused; `refused` are calls that were not
    sent, by system and code.

    `began` is the moment that its lease counts from, of the monotonic clock, which all processes of a host share.
    """

    node: str
    decisions: list[tuple[str, str, int]]
    began: float
    position: int
    is_listening: bool
    snapshots: int
    opened: int
    lost: int
    waiting: list[tuple[str, int, bool]] = msgspec.field(default_factory=list)
    refused: list[tuple[str, str, int]] = msgspec.field(default_factory=list)


class Batch(msgspec.Struct, tag="batch", array_like=True, frozen=True):
    """Changes to apply, in order; none at all where the worker has to forget what it knows.

    `position` is how far the feed is applied then, `offset` the database's clock less the monotonic one, in seconds.
    """

    position: int
    offset: float
    rows: list[list[Any]] | None

    @classmethod
    def of(cls, position: int, offset: float, changes: Sequence[Change] | None) -> Batch:
        """Return the message that carries these changes."""
        return cls(position, offset, None if changes is None else [list(change) for change in changes])

    @property
    def changes(self) -> list[Change] | None:
        """Return the changes as they were read."""
        return None if self.rows is None else [_change(row) for row in self.rows]


class Renewed(msgspec.Struct, tag="renewed", array_like=True, frozen=True):
    """What the worker applied last is acknowledged: its lease counts from `began`, of the monotonic clock.

    `noted` is the moment that the database keeps of it, `connection` the number of the listener's connection.
    """

    began: float
    noted: datetime
    connection: int
    is_listening: bool
    numbers: list[Numbers]


class Cancelled(msgspec.Struct, tag="cancelled", array_like=True, frozen=True):
    """A client cancels a call that a worker of this host may carry: what another node handed over."""

    notice: str


class Applied(msgspec.Struct, tag="applied", array_like=True, frozen=True):
    """The worker has applied the last batch; without a batch before it: it has started."""

    numbers: Numbers


class Stopped(msgspec.Struct, tag="stopped", array_like=True, frozen=True):
    """The worker serves no more, and revocations need not wait for it."""


type ToWorker = Batch | Renewed | Cancelled
type ToListener = Applied | Stopped

_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")  # so that a key is told from a text after decoding
_for_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(Batch | Renewed | Cancelled)
_for_listener: msgspec.msgpack.Decoder[ToListener] = msgspec.msgpack.Decoder(Applied | Stopped)


def encode(message: ToWorker | ToListener) -> bytes:
    """Return the bytes of a message."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH) + body


async def read_as_worker(reader: asyncio.StreamReader) -> ToWorker:
    """Read the next message of the listener. Raises IncompleteReadError at the end, OSError."""
    return _for_worker.decode(await _body(reader))


async def read_as_listener(reader: asyncio.StreamReader) -> ToListener:
    """Read the next message of a worker. Raises IncompleteReadError at the end, OSError."""
    return _for_listener.decode(await _body(reader))


async def _body(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(_LENGTH)))


def _change(row: list[Any]) -> Change:
    *fields, subjects = row
    keys = tuple((column, UUID(bytes=key) if isinstance(key, bytes) else key) for column, key in subjects)
    return Change(*fields, keys)  # type: ignore[call-arg]  # there are as many as a change has
