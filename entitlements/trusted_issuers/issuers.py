"""Issuers that we trust, and their keys: the allow-list is asked before any key is fetched (EMA-R-2).

Fetched key sets are kept in the process for minutes. A token that names an unknown key makes us fetch again, but not
more often than every other second; a set that replaced another never gives way to the older one.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from entitlements import strict
from entitlements.decisions.reads import FeedSubject, Reads, Rows
from entitlements.errors import DomainError
from entitlements.keys import jws, public_keys
from entitlements.upstream import egress

from . import spiffe

FRESH_SECONDS: Final = 300.0
STALE_SECONDS: Final = 3600.0
"""How long the last set serves while the issuer cannot be reached."""
PAUSE_SECONDS: Final = 2.0
USUAL: Final = (jws.ES256,)
"""What an issuer may sign with when its row does not say."""


type Fetch = Callable[[str], Awaitable[Any]]
"""GETs a JSON document. Raises what `egress.fetch_json` raises."""


class KeysUnreachable(DomainError):
    """The keys of the token's issuer cannot be fetched. Try again later."""

    code, status = "issuer_keys_unreachable", HTTPStatus.SERVICE_UNAVAILABLE


_TRUSTED: Final = """
SELECT id, issuer, jwks_uri, jwks::text, algorithms::text, strict_single_use FROM entitlements_trustedissuer
WHERE issuer = %s AND purpose = %s AND enabled
"""
_PERSON: Final = """
SELECT p.id, p.login, p.is_active, p.sign_ins_valid_after, i.id, i.issuer_id
FROM entitlements_identity i JOIN entitlements_person p ON p.id = i.person_id
WHERE i.issuer_id = %s AND i.subject = %s
"""


@dataclass(frozen=True, slots=True)
class ActiveIssuer:
    """An issuer that is trusted at this moment: `jwks` is the text of its pinned key set, None when it is fetched."""

    pk: int
    issuer: str
    jwks_uri: str
    jwks: str | None
    algorithms: tuple[str, ...]
    strict_single_use: bool


@dataclass(slots=True)
class _CachedKeySet:
    uri: str
    keys: tuple[jws.Key, ...]
    fetched: float
    tried: float


_kept: dict[int, _CachedKeySet] = {}


async def trusted(reads: Reads, issuer: object, purpose: str) -> ActiveIssuer | None:
    """Return the enabled issuer of exactly this name, for this purpose."""
    rows = await reads.kept(_TRUSTED, [issuer, str(purpose)], _about) if isinstance(issuer, str) else []
    return _issuer(rows[0]) if rows else None


@functools.lru_cache(maxsize=1000)
def _issuer(row: tuple[Any, ...]) -> ActiveIssuer:
    """Read an issuer's columns; the same ones are read once."""
    pk, name, jwks_uri, jwks, algorithms, is_used_once = row
    return ActiveIssuer(pk, name, jwks_uri, jwks, tuple(json.loads(algorithms)) or USUAL, is_used_once)


async def person(
    reads: Reads, issuer: ActiveIssuer, subject: str
) -> tuple[int, str, bool, datetime | None, int] | None:
    """Find the person of an issuer's subject: by both, never by one of them (EMA-R-15).

    Returns key, login, whether they are active, after which moment their sign-ins count, and the key of the link.
    """
    rows = await reads.kept(_PERSON, [issuer.pk, subject], _about_person)
    return (rows[0][0], rows[0][1], rows[0][2], rows[0][3], rows[0][4]) if rows else None


async def check(unverified: jws.Unverified, issuer: ActiveIssuer, fetch: Fetch) -> Mapping[str, Any]:
    """Return the claims if a key of the issuer signed them. Raises BadToken, KeysUnreachable."""
    keys = await _fetched(issuer, unverified.kid, fetch) if issuer.jwks is None else _pinned(issuer.issuer, issuer.jwks)
    fitting = [key for key in keys if key.algorithm in issuer.algorithms]
    return jws.check(unverified, jws.choose(unverified, fitting), comes_again=True)


def _about(rows: Rows) -> list[FeedSubject]:
    return [("trusted_issuer_id", rows[0][0])]


def _about_person(rows: Rows) -> list[FeedSubject]:
    pk, _, _, _, link, issuer = rows[0]
    return [("person_id", pk), ("identity_link_id", link), ("trusted_issuer_id", issuer)]


@functools.lru_cache(maxsize=1000)
def _pinned(issuer: str, stored: str) -> tuple[jws.Key, ...]:
    """Read a pinned key set; the same text is read once."""
    return spiffe.key_set(issuer, json.loads(stored))


def forget() -> None:
    """Drop every fetched key set. For tests, and after a change of an issuer."""
    _kept.clear()


async def _fetched(issuer: ActiveIssuer, kid: str | None, fetch: Fetch) -> tuple[jws.Key, ...]:
    kept, now = _kept.get(issuer.pk), time.monotonic()
    if kept is None or kept.uri != issuer.jwks_uri:
        kept = _kept[issuer.pk] = _CachedKeySet(issuer.jwks_uri, (), -STALE_SECONDS + now - 1, now - PAUSE_SECONDS)
    is_known = kid is None or any(key.kid == kid for key in kept.keys)
    if (not is_known or now - kept.fetched > FRESH_SECONDS) and now - kept.tried >= PAUSE_SECONDS:
        kept.tried = now
        try:
            kept.keys, kept.fetched = spiffe.key_set(issuer.issuer, await fetch(issuer.jwks_uri)), now
        except (egress.ForbiddenAddress, egress.Unreachable, strict.NotStrictJson, public_keys.BadKey) as error:
            if now - kept.fetched > STALE_SECONDS:
                raise KeysUnreachable from error
    if now - kept.fetched > STALE_SECONDS:
        raise KeysUnreachable
    return kept.keys
