"""The sealer: pending rows become leaves of the tree, the tree a signed checkpoint, the checkpoint an anchored note.

One active at a time, by an advisory lock that lives as long as a connection to PostgreSQL itself. What is written may
go through a pooler: a batch is one transaction, which waits for the batch of another sealer, then looks whether the log
still ends where this one thinks. So a killed or overtaken sealer loses and doubles nothing; what it committed and did
not publish, the next one publishes first.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import chain, clock
from audit.seals import anchors, stops

BATCH: Final = 5000
PAUSE: Final = 0.25
"""Seconds between looks at the pending rows, when there were fewer than a batch."""
PUBLISH_EVERY: Final = 1.0
"""Seconds between publications: a later checkpoint covers earlier ones."""
REST: Final = 10
"""An anchor that failed slowly is left alone for so many times as long as it kept the sealer from sealing."""
HEARTBEAT: Final = 300.0
"""Seconds after which an unchanged head is signed again, so that silence differs from a dead sealer."""
LOCK: Final = 0x4D414E44  # "MAND"
_BATCH_LOCK: Final = 0x4D414E45

logger = logging.getLogger(__name__)

_TELL: Final = """
INSERT INTO anchor_states AS a (name, note, problem, seen_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (name) DO UPDATE SET problem = EXCLUDED.problem, seen_at = EXCLUDED.seen_at,
   note = CASE EXCLUDED.problem WHEN '' THEN EXCLUDED.note ELSE a.note END
"""
_PENDING: Final = """
SELECT p.id, p.at, p.uuid, p.producer, p.sequence, e.body, (SELECT coalesce(max(size), 0) FROM checkpoints)
  FROM (SELECT * FROM pending ORDER BY id LIMIT %s) p
  LEFT JOIN events e ON e.at = p.at AND e.uuid = p.uuid AND e.producer = p.producer AND e.sequence = p.sequence
 ORDER BY p.id
"""


class RecordDamaged(RuntimeError):
    """The stored record contradicts itself or its anchors. The sealer stops, rather than sign over the damage."""

    code = "record_damaged"


class RestoredBackup(RecordDamaged):
    """An anchor has seen events that the database lacks."""


class Restored:
    """Who closes the product when a sealer finds a restored backup, if any."""

    by: Callable[[str], None] | None = None

    def tell(self, problem: str) -> None:
        """Have the product closed."""
        if self.by is not None:
            self.by(problem)


RESTORED: Final = Restored()


class Overtaken(psycopg.OperationalError):
    """Another sealer has gone on with the log: this one lost its lock, and begins anew."""


@dataclass(slots=True)
class Sealer:
    """A sealer that writes over `connection` while `lock` holds the lock. Make one with `begin`."""

    connection: psycopg.Connection[Any]
    lock: psycopg.Connection[Any]
    origin: str
    key: Ed25519PrivateKey
    anchors: Sequence[anchors.Anchor]
    frontier: chain.Frontier
    note: str = ""
    published_at: float = 0.0
    is_urgent: bool = False
    """Whether a stop is sealed and not published: it does not wait for its turn."""
    rests_until: dict[str, float] = field(default_factory=dict)

    def seal_batch(self) -> int:
        """Seal up to BATCH pending events in one transaction; returns how many. Raises RecordDamaged, psycopg.Error."""
        self.lock.execute("SELECT 1")  # where its connection has ended, so has the lock
        grown = chain.Frontier(self.frontier.size, list(self.frontier.hashes))
        with self.connection.transaction():
            self.connection.execute("SELECT pg_advisory_xact_lock(%s)", [_BATCH_LOCK])
            rows = self.connection.execute(_PENDING, [BATCH], prepare=True).fetchall()
            if not rows:
                return 0
            if rows[0][-1] != self.frontier.size:
                message = f"the log has {rows[0][-1]} events, this sealer knows {self.frontier.size}"
                raise Overtaken(message)
            note = self._write(rows, grown)
        self.frontier, self.note = grown, note
        return len(rows)

    def _write(self, rows: Sequence[tuple[Any, ...]], grown: chain.Frontier) -> str:
        nodes: list[tuple[int, int, bytes]] = []
        stopped: list[tuple[Any, ...]] = []
        cursor = self.connection.cursor()
        with cursor.copy("COPY leaves (index, at, uuid, hash, producer, sequence) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "timestamptz", "uuid", "bytea", "uuid", "int8"])
            for _, at, uuid, producer, sequence, body, _ in rows:
                if body is None:
                    message = f"event {uuid} of {at.isoformat()} (producer {producer}, {sequence}) is missing"
                    raise RecordDamaged(message)
                leaf = chain.leaf_hash(body.encode())
                copy.write_row((grown.size, at, uuid, leaf, producer, sequence))
                if line := stops.line(grown.size, body):
                    stopped.append((grown.size, at, uuid, line))
                nodes.extend(grown.append(leaf))
        if stopped:
            cursor.executemany("INSERT INTO stops (index, at, uuid, line) VALUES (%s, %s, %s, %s)", stopped)
            self.is_urgent = True
        if nodes:
            cursor.executemany("INSERT INTO nodes (level, position, hash) VALUES (%s, %s, %s)", nodes)
        root, signed_at = grown.root(), clock.now()
        note = self._sign(grown, signed_at)
        cursor.execute(
            "INSERT INTO checkpoints (size, root, note, frontier, signed_at) VALUES (%s, %s, %s, %s, %s)",
            [grown.size, root, note, grown.hashes, signed_at],
        )
        gone = cursor.execute("DELETE FROM pending WHERE id = ANY(%s)", [[row[0] for row in rows]]).rowcount
        if gone != len(rows):
            message = f"{len(rows)} pending rows were read and {gone} were there to remove: is there a second sealer?"
            raise RecordDamaged(message)
        return note

    def _sign(self, frontier: chain.Frontier, at: datetime) -> str:
        head = chain.Checkpoint(self.origin, frontier.size, frontier.root(), chain.format_time(at))
        return chain.sign(head, self.key)

    def publish(self, *, heartbeat: bool = False) -> bool:
        """Give the newest note to every anchor that lacks it. Returns whether all of them now have it."""
        if heartbeat:
            self.note = self._sign(self.frontier, clock.now())
        if not self.note:
            return True
        self.published_at, self.is_urgent = time.monotonic(), False
        everywhere = True
        for anchor in self.anchors:
            if (begun := time.monotonic()) < self.rests_until.get(str(anchor), 0.0):
                everywhere = False
                continue
            try:
                stops.publish(self.connection, anchor, self.origin, self.key, self.frontier.size)
                if stops.newest(self.connection, anchor) != self.note:
                    anchor.publish(self.note)
                _tell(self.connection, anchor, self.note)
            except OSError as problem:
                logger.exception("anchor_unreachable", extra={"anchor": str(anchor)})
                _tell(self.connection, anchor, "", str(problem))
                if (took := time.monotonic() - begun) > PAUSE:
                    self.rests_until[str(anchor)] = begun + (REST + 1) * took
                everywhere = False
        if everywhere:
            stops.tell(self.connection, self.frontier.size)
        return everywhere

    def run(self, stopping: Callable[[], bool], sleep: Callable[[float], object] = time.sleep) -> None:
        """Seal until asked to stop, then publish what is left. Raises RecordDamaged, psycopg.Error."""
        dirty = False
        while not stopping():
            sealed = self.seal_batch()
            dirty = dirty or bool(sealed)
            age = time.monotonic() - self.published_at
            if self.is_urgent or age >= (PUBLISH_EVERY if dirty else HEARTBEAT):
                dirty = not self.publish(heartbeat=not dirty)
            if sealed < BATCH:
                sleep(PAUSE)
        self.publish()


def begin(
    connection: psycopg.Connection[Any],
    origin: str,
    key: Ed25519PrivateKey,
    to: Sequence[anchors.Anchor],
    *,
    lock: psycopg.Connection[Any] | None = None,
    restored_as: str = "",
    wait: Callable[[float], object] = time.sleep,
) -> Sealer:
    """Wait for the lock, take up the log where it ends, check it against the anchors, publish what they lack.

    `connection` is the sealer's role, in autocommit mode; `lock` is a connection to PostgreSQL itself, where the first
    goes through a pooler. `origin` names a log that is only beginning, a log that exists keeps its name. After a backup
    was restored, what the anchors saw beyond it is lost: `restored_as` then begins a new name, whose first checkpoint
    is the restored head. `wait` is called with seconds while another sealer holds the lock. Raises RecordDamaged when
    the stored head was not signed by this key, does not follow from its frontier, or is behind or beside what an
    anchor has.
    """
    lock = lock or connection
    while not _takes_lock(lock):
        wait(PAUSE)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_BATCH_LOCK])
    frontier, note = _head(connection, key)
    connection.execute("DELETE FROM anchor_states WHERE name <> ALL(%s)", [[str(anchor) for anchor in to]])
    if restored_as:
        sealer = Sealer(connection, lock, restored_as, key, to, frontier)
        sealer.publish(heartbeat=True)
        return sealer
    origin = note.partition("\n")[0] or origin
    for anchor in to:
        try:
            last = stops.newest(connection, anchor)
        except OSError as problem:
            logger.exception("anchor_unreachable", extra={"anchor": str(anchor)})
            _tell(connection, anchor, "", str(problem))
            continue
        # This commit waits for a standby, and so for all before it: no anchor gets a head that one server alone has.
        _tell(connection, anchor, last)
        if last and last.startswith(f"{origin}\n"):
            check_anchor(connection, chain.open_note(last, origin, key.public_key()), frontier.size, str(anchor))
    sealer = Sealer(connection, lock, origin, key, to, frontier, note)
    sealer.publish()
    return sealer


def _tell(connection: psycopg.Connection[Any], anchor: anchors.Anchor, note: str, problem: str = "") -> None:
    """Write down for pages what is in an anchor, or why it cannot be read."""
    connection.execute(_TELL, [str(anchor), note, problem, clock.now()])


def _takes_lock(connection: psycopg.Connection[Any]) -> bool:
    taken = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    return bool(taken and taken[0])


def _head(connection: psycopg.Connection[Any], key: Ed25519PrivateKey) -> tuple[chain.Frontier, str]:
    leaves = connection.execute("SELECT coalesce(max(index) + 1, 0) FROM leaves").fetchone()
    row = connection.execute("SELECT size, frontier, note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    size, hashes, note = row or (0, [], "")
    if leaves is None or leaves[0] != size:
        message = f"the last checkpoint is of {size} events, the leaves end at {leaves and leaves[0]}"
        raise RecordDamaged(message)
    frontier = chain.Frontier(size, [bytes(part) for part in hashes])
    if row:
        try:
            head = chain.open_note(note, note.partition("\n")[0], key.public_key())
        except chain.BadNote as error:
            message = f"the stored checkpoint of {size} events is not ours: {error}"
            raise RecordDamaged(message) from error
        if (head.size, head.root) != (size, frontier.root()):
            message = f"the stored frontier is not that of the checkpoint of {size} events"
            raise RecordDamaged(message)
    return frontier, note


def check_anchor(connection: psycopg.Connection[Any], anchored: chain.Checkpoint, size: int, anchor: str) -> None:
    """Check that a log of `size` events goes on from what an anchor has seen. Raises RecordDamaged."""
    row = connection.execute("SELECT root FROM checkpoints WHERE size = %s", [anchored.size]).fetchone()
    if anchored.size > size:
        message = f"{anchor} has seen {anchored.size} events, the database holds {size}: a restored backup?"
        raise RestoredBackup(message)
    if anchored.size and (row is None or bytes(row[0]) != anchored.root):
        message = f"{anchor} and the database disagree about the first {anchored.size} events"
        raise RecordDamaged(message)
