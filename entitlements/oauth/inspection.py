"""Introspection (RFC 7662) and revocation (RFC 7009): a client's own tokens, and those it may inspect at a system."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse

from audit import clock, log
from audit.actions import Action
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.clients.models import OAuthAccessToken
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import Token
from entitlements.keys import jws, signing
from entitlements.people import sign_ins
from entitlements.tokens import presented, tokens
from entitlements.tokens.models import IssuedToken

from . import authentication
from .door import Attempt, known_uuid, machine

INACTIVE: Final = {"active": False}
_WHO: Final = ("iss", "sub", "aud", "client_id", "act", "sid", "sub_profile")
_SHOWN: Final = (*_WHO, "jti", "iat", "exp", *tokens.AUTHENTICATION)
_REASON: Final = "Revoked by its client."


@machine
def system_introspect(attempt: Attempt, system: str) -> Mapping[str, Any]:
    """Say what an access token of this system is worth now, to its own client or to one that may inspect.

    A resource server's client has `introspect:<system>` among its `api_scopes`; to others every token is inactive.
    """
    caller, target, _ = authentication.caller_at(attempt, system)
    try:
        claims = signing.verify(attempt.need("token"), target.issuer_path, tokens.ACCESS_TOKEN_TYP)
        token = presented.live(claims, system)
    except jws.BadToken:
        return INACTIVE
    if token.caller.pk != caller.pk and f"introspect:{system}" not in caller.api_scopes:
        return INACTIVE
    return _active(token, "Bearer")


@machine
def idp_introspect(attempt: Attempt) -> Mapping[str, Any]:
    """Say what an ID-JAG, or an access token of the code flow, is worth now: to its own client alone."""
    caller = authentication.caller(attempt, addresses.IDP)
    token = attempt.need("token")
    if "." not in token:
        return _opaque(token, caller)
    try:
        claims = signing.verify(token, addresses.IDP, tokens.ID_JAG_TYP)
        row = _own(claims, caller)
        return _active(presented.live(claims, row.system.slug), "N_A") if row else INACTIVE
    except jws.BadToken:
        return INACTIVE


@machine
def system_revoke(attempt: Attempt, system: str) -> HttpResponse:
    """Revoke an access token of the calling client; says nothing about any other (RFC 7009 section 2.2)."""
    caller, target, _ = authentication.caller_at(attempt, system)
    return _revoke(attempt.need("token"), target.issuer_path, tokens.ACCESS_TOKEN_TYP, caller)


@machine
def idp_revoke(attempt: Attempt) -> HttpResponse:
    """Revoke an ID-JAG, with what was issued for it, or an access token of the code flow, of the calling client."""
    caller = authentication.caller(attempt, addresses.IDP, allow_public=True)
    token = attempt.need("token")
    if "." in token:
        return _revoke(token, addresses.IDP, tokens.ID_JAG_TYP, caller)
    _end_opaque(token, caller)
    return HttpResponse()


def _active(token: presented.LiveToken, token_type: str) -> dict[str, Any]:
    claims = {name: token.claims[name] for name in _SHOWN if name in token.claims}
    return {"active": True, "token_type": token_type, "scope": scopes.join(token.scopes), **claims}


def _revoke(token: str, issuer_path: str, typ: str, caller: Caller) -> HttpResponse:
    try:
        row = _own(signing.verify(token, issuer_path, typ), caller)
    except jws.BadToken:
        row = None
    if row is not None:
        tokens.revoke(row.pk, by=caller.principal, reason=_REASON)
    return HttpResponse()


def _own(claims: Mapping[str, Any], caller: Caller) -> IssuedToken | None:
    jti: UUID | None = known_uuid(str(claims.get("jti")))
    return IssuedToken.objects.select_related("system").filter(pk=jti, client_id=caller.pk).first() if jti else None


def _opaque_row(token: str, caller: Caller) -> OAuthAccessToken | None:
    checksum = hashlib.sha256(token.encode()).hexdigest()
    rows = OAuthAccessToken.objects.select_related("user").filter(token_checksum=checksum, application_id=caller.pk)
    return rows.filter(expires__gt=clock.now()).first()


def _opaque(token: str, caller: Caller) -> Mapping[str, Any]:
    row = _opaque_row(token, caller)
    if row is None or row.user is None:
        return INACTIVE
    held = frozenset(row.scope.split())
    live = Token(str(row.pk), row.created.timestamp(), row.expires.timestamp(), held)
    if not sign_ins.may_sign_in(caller, row.user.pk, live, clock.now().timestamp()).allowed:
        return INACTIVE
    return {
        "active": True,
        "token_type": "Bearer",
        "iss": addresses.issuer(addresses.IDP),
        "sub": row.user.login,
        "client_id": caller.client_id,
        "scope": scopes.join(held),
        "exp": int(row.expires.timestamp()),
    }


@transaction.atomic
def _end_opaque(token: str, caller: Caller) -> None:
    row = _opaque_row(token, caller)
    if row is not None:
        OAuthAccessToken.objects.filter(pk=row.pk).update(expires=clock.now())
        log.record(Action.TOKEN_REVOKED, by=caller.principal, about=caller.links, reason=_REASON)
