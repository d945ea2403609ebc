"""Which JWTs are ID tokens, and how old the sign-in behind one may be (OpenID Connect Core 2 and 3.1.3.7). Pure.

An issuer signs logout tokens, access tokens and ID-JAGs with the keys of its ID tokens, often for the same audience and
with the same `typ`. An ID token is therefore recognised by what it must not hold (RFC 8725 sections 3.11 and 3.12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from entitlements.codes import Code, meaning
from entitlements.errors import DomainError
from entitlements.keys import jws

LEEWAY: Final = 30.0
"""Seconds by which an issuer's clock may be ahead of ours."""
LONGEST: Final = 24 * 3600.0
"""Seconds between `iat` and `exp` of an ID token; providers issue them for minutes, a few for half a day."""
_TYPS: Final = frozenset({None, "jwt"})
_OF_OTHERS: Final = {
    "events": "a logout token or another security event token",
    "scope": "an access token or an authorization grant",
    "scp": "an access token",
}
"""Claims that ID tokens never hold, and what a token with one is (RFC 8417, RFC 9068, Entra and Okta for `scp`)."""
_KINDS: Final = {"typ": "ID", "token_use": "id"}
"""Claims in which some providers name the kind of each token (Keycloak, Cognito), and what an ID token says there."""


class SignInTooOld(DomainError):
    """The sign-in is too old for this. The person must sign in again."""

    code, status = Code.REAUTHENTICATION_DUE, HTTPStatus.UNAUTHORIZED


@dataclass(frozen=True, slots=True)
class SignedIn:
    """When a person signed in, in whole seconds since 1970, and which claim says so: `auth_time`, else `iat`."""

    at: int
    claim: str


def check(typ: str | None, claims: Mapping[str, Any], now: float, max_age: float) -> SignedIn:
    """Return when the person of an ID token signed in. Signature, issuer and audience are the caller's to check.

    `typ` is the header's, in lower case; `max_age` is the greatest age of the sign-in in seconds. Raises BadToken,
    TokenExpired and SignInTooOld.
    """
    if typ not in _TYPS:
        raise jws.BadToken("The token is not an ID token: its typ names another kind.")
    for name, kind in _OF_OTHERS.items():
        if name in claims:
            raise jws.BadToken(f"The token is not an ID token: the claim {name} makes it {kind}.")
    for name, kind in _KINDS.items():
        if claims.get(name, kind) != kind:
            raise jws.BadToken(f"The token is not an ID token: the claim {name} names another kind.")
    jws.text(claims, "sub")
    jws.check_times(claims, now, leeway=LEEWAY, longest=LONGEST)
    return signed_in(claims, now, max_age)


def signed_in(claims: Mapping[str, Any], now: float, max_age: float) -> SignedIn:
    """Return when the person of an ID token or an ID-JAG signed in, by `auth_time`, by `iat` where there is none.

    A token without `auth_time` is never older than its sign-in, so its own age is the least that can be asked about.
    Raises BadToken and SignInTooOld, whose detail names the greatest age (RFC 9470 section 3).
    """
    claim = "auth_time" if claims.get("auth_time") is not None else "iat"
    moment = jws.moment(claims, claim)
    if moment is None:
        raise jws.BadToken("The token says neither when the person signed in nor when it was issued.")
    if moment > now + LEEWAY:
        raise jws.BadToken("The sign-in comes from the future.")
    if now - moment > max_age:
        counted = "" if claim == "auth_time" else " The issuer sends no auth_time, so iat counts."
        message = f"{meaning(Code.REAUTHENTICATION_DUE).sentence} The sign-in is older than {int(max_age)} seconds."
        raise SignInTooOld(message + counted, max_age=int(max_age), counted_from=claim)
    return SignedIn(int(moment), claim)
