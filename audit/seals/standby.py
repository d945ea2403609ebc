"""What a sealer does while another one has the lock: it keeps its own anchors as full as the active one keeps its own.

So each sealer may have an anchor on a disk of its own, and takes over with one that has seen what the other's has.
Sealers that share an anchor do no harm to each other: the active one publishes each second, this one later.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import chain
from audit.seals import seals, stops
from audit.seals.anchors import Anchor

SETTLED: Final = 5.0
"""Seconds after which the active sealer has written a checkpoint to an anchor that both share."""
EVERY: Final = 1.0

_NEWEST: Final = """
SELECT note, (SELECT max(size) FROM checkpoints) FROM checkpoints
 WHERE signed_at <= clock_timestamp() - make_interval(secs => %s) ORDER BY size DESC LIMIT 1
"""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Standby:
    """A sealer that waits: its connection in autocommit mode, its key, its anchors."""

    connection: psycopg.Connection[Any]
    key: Ed25519PrivateKey
    to: Sequence[Anchor]
    _due: float = 0.0

    def follow(self) -> None:
        """Give each anchor the newest settled checkpoint if it lacks it; called more often than EVERY it does nothing.

        Raises RecordDamaged when the database is behind or beside an anchor, or holds what this key did not sign.
        """
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY
        row = self.connection.execute(_NEWEST, [SETTLED]).fetchone()
        if row is None:
            return
        note, newest = row
        for anchor in self.to:
            try:
                self._publish(anchor, note, newest)
            except OSError:
                logger.exception("anchor_unreachable", extra={"anchor": str(anchor)})

    def _publish(self, anchor: Anchor, note: str, newest: int) -> None:
        origin = note.partition("\n")[0]
        public = self.key.public_key()
        try:
            head = chain.open_note(note, origin, public)
            last = stops.newest(self.connection, anchor)
            anchored = chain.open_note(last, origin, public) if last.startswith(f"{origin}\n") else None
        except chain.BadNote as error:
            message = f"a checkpoint in the database or in {anchor} is not ours: {error}"
            raise seals.RecordDamaged(message) from error
        if anchored is not None:
            seals.check_anchor(self.connection, anchored, newest, str(anchor))
        if anchored is None or anchored.size < head.size:
            stops.publish(self.connection, anchor, origin, self.key, head.size)
            anchor.publish(note)
