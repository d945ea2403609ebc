"""Issuers that we trust, and their keys: the allow-list is asked before any key is fetched (EMA-R-2).

Fetched key sets are kept in the process for minutes. A token that names an unknown key makes us fetch again, but not
more often than every other second; a set that replaced another never gives way to the older one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from . import egress, jws, strict
from .errors import DomainError
from .models import TrustedIssuer

FRESH_SECONDS: Final = 300.0
STALE_SECONDS: Final = 3600.0
"""How long the last set serves while the issuer cannot be reached."""
PAUSE_SECONDS: Final = 2.0
USUAL: Final = (jws.ES256,)
"""What an issuer may sign with when its row does not say."""


class KeysUnreachable(DomainError):
    """The keys of the token's issuer cannot be had at present; try again later."""

    code, status = "issuer_keys_unreachable", HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(slots=True)
class _Kept:
    uri: str
    keys: tuple[jws.Key, ...]
    fetched: float
    tried: float


_kept: dict[int, _Kept] = {}


def trusted(issuer: object, purpose: str) -> TrustedIssuer | None:
    """Return the enabled issuer of exactly this name, for this purpose."""
    if not isinstance(issuer, str):
        return None
    return TrustedIssuer.objects.filter(issuer=issuer, purpose=purpose, enabled=True).first()


def check(unverified: jws.Unverified, issuer: TrustedIssuer) -> Mapping[str, Any]:
    """Return the claims if a key of the issuer signed them. Raises BadToken, KeysUnreachable."""
    allowed = issuer.algorithms or list(USUAL)
    pinned = issuer.jwks is not None
    keys = jws.public_keys(issuer.jwks, allowed) if pinned else _keys(issuer, allowed, unverified.kid)
    return jws.check(unverified, jws.choose(unverified, keys))


def forget() -> None:
    """Drop every fetched key set. For tests, and after a change of an issuer."""
    _kept.clear()


def _keys(issuer: TrustedIssuer, allowed: list[str], kid: str | None) -> tuple[jws.Key, ...]:
    kept, now = _kept.get(issuer.pk), time.monotonic()
    if kept is None or kept.uri != issuer.jwks_uri:
        kept = _kept[issuer.pk] = _Kept(issuer.jwks_uri, (), -STALE_SECONDS + now - 1, now - PAUSE_SECONDS)
    is_known = kid is None or any(key.kid == kid for key in kept.keys)
    if (not is_known or now - kept.fetched > FRESH_SECONDS) and now - kept.tried >= PAUSE_SECONDS:
        kept.tried = now
        try:
            kept.keys, kept.fetched = jws.public_keys(egress.read_json(issuer.jwks_uri)), now
        except (egress.ForbiddenAddress, egress.Unreachable, strict.NotStrictJson, jws.BadKey) as error:
            if now - kept.fetched > STALE_SECONDS:
                raise KeysUnreachable from error
    if now - kept.fetched > STALE_SECONDS:
        raise KeysUnreachable
    return tuple(key for key in kept.keys if key.algorithm in set(allowed))
