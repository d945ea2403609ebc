"""Transaction advisory locks: issuing shares them, taking a right away holds them alone.

Row locks do not serve: sixteen overlapping issuers under FOR SHARE starve the revoker for seconds, while an exclusive
advisory request queues before later shared ones. Everybody takes them in the order of `Lock`, then by key, so that no
two wait on each other in a ring. Read a status only in a statement after the lock: it then sees what the previous
holder committed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from enum import IntEnum

from django.db import connection, transaction

from entitlements import prepared


class Lock(IntEnum):
    """What can be locked, in the one fixed order of taking.

    Its number is part of what is locked, and the release before locks the same: new kinds come last.
    """

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
    TRUSTED_ISSUER = 12
    IDENTITY_LINK = 13


# WITH ORDINALITY keeps the order of taking.
_SHARED = "SELECT pg_advisory_xact_lock_shared(n) FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) ORDER BY i"
_ALONE = "SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) ORDER BY i"

_TRIED = "SELECT i FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) WHERE pg_try_advisory_xact_lock(n) ORDER BY i"
_NOT_HELD = """
SELECT i FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(n, i) WHERE NOT EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.mode = 'ExclusiveLock' AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = n)
"""

type Key = tuple[Lock, object]


@functools.lru_cache(maxsize=10_000)
def number(lock: Lock, key: object) -> int:
    """Return the signed 64-bit number of a lock."""
    digest = hashlib.blake2b(f"{lock.value}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def numbers(keys: Iterable[Key]) -> list[int]:
    """Return the numbers of locks in the order in which everybody takes them, each once."""
    return [number(lock, key) for lock, key in _ordered(keys)]


def shared(keys: Iterable[Key]) -> None:
    """Share every key with other issuers until the transaction ends; waits while another holds one exclusively."""
    _take(_SHARED, keys)


def exclusive(*keys: Key) -> None:
    """Hold the keys alone until the transaction ends: waits out issuers at work, later ones wait for us."""
    _take(_ALONE, keys)


def try_exclusive(keys: Iterable[Key]) -> list[Key]:
    """Hold alone those of the keys that no other transaction holds, and return them. Waits for nothing."""
    return _take(_TRIED, keys)


def not_held(keys: Iterable[Key]) -> list[Key]:
    """Return those of the keys that the transaction does not hold alone at this moment.

    PostgreSQL is asked, since it alone knows which locks went with a savepoint that was rolled back.
    """
    return _take(_NOT_HELD, keys)


def _take(statement: str, keys: Iterable[Key]) -> list[Key]:
    """Run a statement on the numbers of the keys, in the order of taking; returns the keys that it names by place."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("locks live in a transaction")
    ordered = _ordered(keys)
    if not ordered:
        return []
    rows = prepared.rows(statement, [[number(lock, key) for lock, key in ordered]])
    return [ordered[place - 1] for place, *_ in rows if isinstance(place, int)]


def _ordered(keys: Iterable[Key]) -> list[Key]:
    return sorted(set(keys), key=lambda pair: (pair[0], str(pair[1])))
