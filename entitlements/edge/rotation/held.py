"""Which credential a client authenticated with: its newest, or until the overlap ends the one before."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from audit import clock
from entitlements import strict
from entitlements.clients.callers import Caller
from entitlements.credential_policy.rules import Kind
from entitlements.keys import jws, public_keys

_NONE: Final = "-" * 64


@dataclass(frozen=True, slots=True)
class Held:
    """A credential that a client proved to hold, and when it was made."""

    kind: Kind
    made: datetime
    is_previous: bool


def by_secret(client: Caller, digest: str) -> Held | None:
    """Return which secret of the client has this digest; None for neither, and for one whose overlap is over."""
    is_newest = hmac.compare_digest(digest, client.secret_sha256 or _NONE)
    is_previous = hmac.compare_digest(digest, client.previous_secret_sha256 or _NONE)
    if is_newest:
        return Held(Kind.CLIENT_SECRET, client.made, is_previous=False)
    made = _previous_made(client)
    return Held(Kind.CLIENT_SECRET, made, is_previous=True) if is_previous and made else None


def by_key(client: Caller, unverified: jws.Unverified) -> tuple[Mapping[str, Any], Held]:
    """Return the claims of an assertion that one of the client's keys signed. Raises BadToken, BadKey."""
    try:
        claims = jws.check(unverified, jws.choose(unverified, keys(client.jwks)))
        return claims, Held(Kind.CLIENT_KEY, client.made, is_previous=False)
    except jws.BadToken:
        if (made := _previous_made(client)) is None:
            raise
    claims = jws.check(unverified, jws.choose(unverified, keys(client.previous_jwks)))
    return claims, Held(Kind.CLIENT_KEY, made, is_previous=True)


def _previous_made(client: Caller) -> datetime | None:
    """Return when the client's previous credential was made; None without one that still works."""
    works = client.previous_ends is not None and clock.now() < client.previous_ends
    return client.previous_made if works else None


@functools.lru_cache(maxsize=10_000)
def keys(stored: str) -> tuple[jws.Key, ...]:
    """Read a client's key set; the same text is read once. Raises BadKey."""
    return public_keys.read_set(strict.loads(stored.encode()))


def thumbprints(stored: str) -> frozenset[str]:
    """Return the thumbprints (RFC 7638) of a client's keys. Raises BadKey."""
    return frozenset(key.material.thumbprint() for key in keys(stored))
