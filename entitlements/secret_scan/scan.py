"""Which secrets there are: read sealed, opened one by one, marked, and let go. Answers are held against the marks.

A node reads them anew after each change of a system, and once a minute, since tokens of accounts change without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from entitlements import strict
from entitlements.connected_accounts import tokens
from entitlements.networks import network
from entitlements.secrets import kinds, private_keys, seal, vault

from .forms import SHORTEST, written
from .marks import Mark, Marks

SECONDS: Final = 60.0
MOST_ACCOUNTS: Final = 5_000
"""Connected accounts whose tokens are looked for: those that were refreshed last."""
_AT_ONCE: Final = 50
"""Secrets that are opened before other work of the node has its turn."""
_SECRETS: Final = """
SELECT y.slug, s.system_id, s.kind, s.sealed, s.previous_kind, s.previous_sealed, c.sealed_key
FROM entitlements_system y LEFT JOIN entitlements_secret s ON s.system_id = y.id
LEFT JOIN entitlements_clientcertificate c ON c.system_id = y.id
WHERE s.id IS NOT NULL OR c.id IS NOT NULL ORDER BY y.slug
"""
_ACCOUNTS: Final = """
SELECT y.slug, k.id, k.sealed FROM entitlements_connectedaccount k JOIN entitlements_system y ON y.id = k.system_id
WHERE k.sealed IS NOT NULL ORDER BY k.refreshed_at DESC NULLS LAST, k.connected_at DESC LIMIT %s
"""

type Row = Sequence[Any]
type Query = Callable[[str, Sequence[object]], Awaitable[Sequence[Row]]]
type Known = dict[bytes, tuple[Mark, ...]]
"""The marks of what is sealed, by the sealed octets: what did not change is not opened again."""


class SecretScan:
    """The marks as one node holds them. `query` reads its database and raises when it cannot."""

    def __init__(self, query: Query, generation: Callable[[], int]) -> None:
        """Take what reads, and what counts the changes of systems."""
        self._query, self._generation = query, generation
        self._known: Known = {}
        self._marks: Marks | None = None
        self._read_at, self._read_for = 0.0, -1
        self._lock = asyncio.Lock()

    async def current(self) -> Marks:
        """Return the marks of all secrets that are in the vault now. Raises what `query` raises."""
        if (marks := self._fresh()) is not None:
            return marks
        async with self._lock:
            if (marks := self._fresh()) is not None:
                return marks
            generation, began = self._generation(), time.monotonic()
            rows = await self._query(_SECRETS, ())
            accounts = await self._query(_ACCOUNTS, [MOST_ACCOUNTS])
            known: Known = {}
            by_owner: dict[str, list[Mark]] = {}
            for count, (owner, sealed, opened) in enumerate(_sealed(rows, accounts)):
                known[sealed] = marks_of = self._known.get(sealed) or _marked(opened)
                by_owner.setdefault(owner, []).extend(marks_of)
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            self._known, self._marks = known, Marks(by_owner)
            self._read_at, self._read_for = began, generation
            return self._marks

    def _fresh(self) -> Marks | None:
        is_fresh = self._read_for == self._generation() and time.monotonic() - self._read_at < SECONDS
        return self._marks if is_fresh else None


def of_database() -> Marks:
    """Return the marks of all secrets of the vault, for a worker."""
    with connection.cursor() as cursor:
        cursor.execute(_SECRETS)
        rows = cursor.fetchall()
        cursor.execute(_ACCOUNTS, [MOST_ACCOUNTS])
        accounts = cursor.fetchall()
    by_owner: dict[str, list[Mark]] = {}
    for owner, _, opened in _sealed(rows, accounts):
        by_owner.setdefault(owner, []).extend(_marked(opened))
    return Marks(by_owner)


def cleaned(marks: Marks, definition: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return a definition as a system lists it without the secrets in it, and whose secrets they are.

    Raises msgspec.MsgspecError or RecursionError where it cannot be read as JSON.
    """
    text, owners = marks.removed_from_json(strict.dumps(definition))
    return (strict.loads(text), owners) if owners else (definition, owners)


type Opened = Callable[[], Iterator[bytes]]


def _sealed(rows: Sequence[Row], accounts: Sequence[Row]) -> Iterator[tuple[str, bytes, Opened]]:
    """Yield whose each sealed secret is, its sealed octets, and what opens it."""
    for slug, system, kind, sealed, previous_kind, previous, key in rows:
        for of_kind, octets in ((kind, sealed), (previous_kind, previous)):
            if octets is not None:
                yield slug, bytes(octets), _credential(system, of_kind, bytes(octets))
        if key is not None:
            yield slug, bytes(key), _key(system, bytes(key))
    for slug, account, octets in accounts:
        yield slug, bytes(octets), _tokens(account, bytes(octets))


def _credential(system: int, kind: str, sealed: bytes) -> Opened:
    def opened() -> Iterator[bytes]:
        credential = vault.unsealed(system, kind, sealed)
        for form in kinds.forms(kind, credential.secret.decode(), credential.settings):
            yield from written(form)

    return opened


def _key(system: int, sealed: bytes) -> Opened:
    return lambda: iter(private_keys.fragments(seal.unseal(sealed, network.place(system)).decode()))


def _tokens(account: UUID, sealed: bytes) -> Opened:
    def opened() -> Iterator[bytes]:
        held = tokens.opened(sealed, account)
        for token in (held.access, held.refresh):
            yield from (form for form in (token.encode(),) if len(form) >= SHORTEST)

    return opened


def _marked(opened: Opened) -> tuple[Mark, ...]:
    """Return the marks of a secret; none of one that cannot be opened here, which no call goes out with either."""
    try:
        return tuple(Mark.of(form) for form in opened())
    except seal.SealBroken:
        return ()
