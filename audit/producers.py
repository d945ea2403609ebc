"""The life of one database connection as a producer of events, numbered densely from 1.

A gap in the numbers of a producer's life reveals an event removed before it was sealed. So a number may be used up only
by an event that commits. Django drops the on_commit callbacks of what is rolled back, savepoints included: the newest
of ours that is still alive tells the last number of this transaction, and running it moves the committed count on. When
a callback neither lives nor ran (rolled back, or another callback raised first) the events themselves are asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.backends.base.base import BaseDatabaseWrapper

_ATTRIBUTE = "audit_producer"


@dataclass(slots=True)
class Producer:
    """One producer: its id, the connection whose life it shares, and how far it has come."""

    raw: Any
    uuid: UUID = field(default_factory=uuid4)
    committed: int = 0
    attempted: int = 0
    since: datetime | None = None
    """The time of the first event that may not have committed."""
    follows: "Producer | None" = None
    """The producer before it on this thread, where its last commit is in doubt and no marker has ended it yet."""


@dataclass(slots=True)
class _Advance:
    """The on_commit callback: the numbers up to `upto` are committed."""

    connection: BaseDatabaseWrapper
    producer: Producer
    upto: int

    def __call__(self) -> None:
        if self.connection.in_atomic_block:
            return  # a test runs the callbacks of a transaction that it will roll back
        self.producer.committed = max(self.producer.committed, self.upto)


@contextmanager
def numbers(connection: BaseDatabaseWrapper, count: int, at: datetime) -> Iterator[tuple[UUID, int]]:
    """Hand out `count` numbers for the events inserted in the block: (producer, first). A failure uses none up."""
    producer = current(connection)
    first = _next(connection, producer)
    yield producer.uuid, first
    upto = first + count - 1
    if producer.since is None or at < producer.since:
        producer.since = at
    producer.attempted = max(producer.attempted, upto)
    connection.on_commit(_Advance(connection, producer, upto))


def current(connection: BaseDatabaseWrapper) -> Producer:
    """The producer of this connection's life; a reconnect began a new one."""
    connection.ensure_connection()
    producer: Producer | None = getattr(connection, _ATTRIBUTE, None)
    if producer is None or producer.raw is not connection.connection:
        in_doubt = producer if producer is not None and producer.attempted > producer.committed else None
        producer = Producer(raw=connection.connection, follows=in_doubt)
        setattr(connection, _ATTRIBUTE, producer)
    return producer


def forget(connection: BaseDatabaseWrapper) -> None:
    """Begin a new producer with the next event. For tests, whose record is emptied under an open connection."""
    if hasattr(connection, _ATTRIBUTE):
        delattr(connection, _ATTRIBUTE)


def _next(connection: BaseDatabaseWrapper, producer: Producer) -> int:
    for hook in reversed(connection.run_on_commit):
        callback = hook[1]
        if isinstance(callback, _Advance) and callback.producer is producer:
            return callback.upto + 1
    if producer.attempted > producer.committed:
        producer.committed = last_number(connection, producer)
    producer.attempted, producer.since = producer.committed, None
    return producer.committed + 1


def last_number(connection: BaseDatabaseWrapper, producer: Producer) -> int:
    """Ask the events how far the producer came."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(sequence) FROM events WHERE at >= %s AND producer = %s", [producer.since, producer.uuid]
        )
        return max(cursor.fetchone()[0] or 0, producer.committed)
