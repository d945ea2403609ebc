"""The access tokens of receivers: client credentials (RFC 6749 section 4.4) for a short-lived token of our own issuer.

They open the addresses of streams alone. Each use asks whether the receiver is still one, so an end counts at once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from audit import clock
from entitlements import addresses
from entitlements.errors import DomainError
from entitlements.keys import jws, signing
from entitlements.strict import known_uuid

from . import receivers
from .models import EventReceiver

ISSUER: Final = addresses.SIGNALS
MANAGE, READ = "ssf.manage", "ssf.read"
SCOPES: Final = (MANAGE, READ)
"""As the CAEP interoperability profile 1.0 names them (section 2.7.3)."""
LASTS: Final = 900
"""Seconds. The profile calls an hour the longest that is short."""
_TYP: Final = "at+jwt"


class BadClient(DomainError):
    """The receiver is not known, was ended, or its secret is another."""

    code, status = "event_receiver_refused", HTTPStatus.UNAUTHORIZED


class BadScope(DomainError):
    """The scopes of a receiver are ssf.read and ssf.manage."""

    code, status = "event_receiver_bad_scope", HTTPStatus.BAD_REQUEST


class BadAccessToken(DomainError):
    """The access token is missing, over, or not one for streams of events."""

    code, status = "event_stream_token_refused", HTTPStatus.UNAUTHORIZED


class ScopeMissing(DomainError):
    """The access token lacks the scope that this needs."""

    code, status = "event_stream_scope_missing", HTTPStatus.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Given:
    """An access token that was made, and its scope."""

    token: str
    scope: str


def issue(client_id: str, secret: str, scope: str) -> Given:
    """Return an access token for a receiver; without a scope, with all. Raises BadClient, BadScope."""
    key = known_uuid(client_id)
    row = EventReceiver.objects.filter(pk=key, ended_at=None).first() if key is not None else None
    if not hmac.compare_digest(row.secret_sha256 if row is not None else "", receivers.digest(secret)) or row is None:
        raise BadClient
    wanted = scope.split() or [*SCOPES]
    if {*wanted} - {*SCOPES}:
        raise BadScope
    now, granted = int(clock.now().timestamp()), " ".join(dict.fromkeys(wanted))
    claims = {
        "iss": addresses.issuer(ISSUER),
        "aud": addresses.issuer(ISSUER),
        "sub": str(row.pk),
        "client_id": str(row.pk),
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + LASTS,
        "scope": granted,
    }
    return Given(signing.sign(ISSUER, claims, _TYP), granted)


def receiver(authorization: str, needs: Iterable[str]) -> EventReceiver:
    """Return whose access token it is, if it carries one of the scopes. Raises BadAccessToken, ScopeMissing."""
    scheme, _space, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadAccessToken
    claims = _claims(token.strip())
    key = known_uuid(str(claims.get("client_id", "")))
    row = EventReceiver.objects.filter(pk=key, ended_at=None).first() if key is not None else None
    if row is None or claims.get("aud") != addresses.issuer(ISSUER):
        raise BadAccessToken
    if not {*str(claims.get("scope", "")).split()} & {*needs}:
        raise ScopeMissing(needs=" ".join(needs))
    return row


def _claims(token: str) -> dict[str, Any]:
    try:
        return {**signing.verify(token, ISSUER, _TYP)}
    except (jws.BadToken, jws.TokenExpired) as error:
        raise BadAccessToken from error
