"""Transaction advisory locks: issuing shares them, taking a right away holds them alone.

Row locks do not serve: sixteen overlapping issuers under FOR SHARE starve the revoker for seconds, while an exclusive
advisory request queues before later shared ones. Everybody takes them in the order of `Lock`, then by key, so that no
two wait on each other in a ring. Read a status only in a statement after the lock: it then sees what the previous
holder committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum

from django.db import connection, transaction

from entitlements import prepared


class Lock(IntEnum):
    """What can be locked, in the one fixed order of taking."""

    EVERYTHING = 0
    AGENT = 1
    PERSON = 2
    CLIENT = 3
    SYSTEM = 4
    TOOL = 5
    GRANT = 6
    SESSION = 7
    TOKEN = 8
    REQUEST = 9
    KEY = 10
    COMBINATION = 11


# WITH ORDINALITY keeps the order of taking.
_SHARED = "SELECT pg_advisory_xact_lock_shared(n) FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) ORDER BY i"
_ALONE = "SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) ORDER BY i"

type Key = tuple[Lock, object]


def number(lock: Lock, key: object) -> int:
    """Return the signed 64-bit number of a lock."""
    digest = hashlib.blake2b(f"{lock.value}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def numbers(keys: Iterable[Key]) -> list[int]:
    """Return the numbers of locks in the order in which everybody takes them, each once."""
    return [number(lock, key) for lock, key in sorted(set(keys), key=lambda pair: (pair[0], str(pair[1])))]


def shared(keys: Iterable[Key]) -> None:
    """Share every key with other issuers until the transaction ends; waits while another holds one exclusively."""
    _take(_SHARED, keys)


def exclusive(*keys: Key) -> None:
    """Hold the keys alone until the transaction ends: waits out issuers at work, later ones wait for us."""
    _take(_ALONE, keys)


def _take(statement: str, keys: Iterable[Key]) -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("locks live in a transaction")
    if in_order := numbers(keys):
        prepared.rows(statement, [in_order])
