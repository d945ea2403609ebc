"""Introspection (RFC 7662): of a client's own tokens, and of those it may inspect at a system. From memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from audit import clock
from entitlements import addresses
from entitlements.clients import callers
from entitlements.clients.callers import Caller, Issued, Target
from entitlements.connections import connected_agent
from entitlements.decisions import scopes
from entitlements.decisions.reads import Reads, Row
from entitlements.decisions.snapshot import Token
from entitlements.keys import in_use, jws
from entitlements.people import sign_ins
from entitlements.strict import known_uuid
from entitlements.token_families import refresh_tokens
from entitlements.token_families.rules import IDLE, Use
from entitlements.tokens import issue as rules
from entitlements.tokens import presented, tokens

from . import client_authentication, issue
from .door import Attempt
from .refusals import Refused
from .sign_in import id_token_refresh, refresh, sign_in_traces
from .sign_in.refresh import Family

INACTIVE: Final = {"active": False}
_WHO: Final = ("iss", "sub", "aud", "client_id", "act", "sid", "sub_profile", "cnf")
_SHOWN: Final = (*_WHO, "authorization_details", "jti", "iat", "exp", *tokens.AUTHENTICATION)
_OPAQUE: Final = """
SELECT t.id, p.id, p.login, t.scope, t.created, t.expires
FROM entitlements_oauthaccesstoken t LEFT JOIN entitlements_person p ON p.id = t.user_id
WHERE t.token_checksum = %s AND t.application_id = %s AND t.expires > %s
"""


async def system_introspect(attempt: Attempt, system: str) -> Mapping[str, Any]:
    """Say what an access token of this system is worth now, to its own client or to one that may inspect.

    A resource server's client has `introspect:<system>` among its `api_scopes`; to others every token is inactive.
    """
    caller, target, _ = await client_authentication.caller_at(attempt, system)
    attempt.use_up_here()
    if refresh_tokens.is_one(attempt.need("token")):
        return await _refresh_token(attempt, caller, target)
    try:
        claims = await in_use.verify(attempt.reads, attempt.need("token"), target.issuer_path, tokens.ACCESS_TOKEN_TYP)
        attempt.traced.follow(claims)
        token = await presented.live(attempt.reads, claims, system)
    except jws.BadToken:
        return INACTIVE
    if token.caller.pk != caller.pk and f"introspect:{system}" not in caller.api_scopes:
        return INACTIVE
    return _active(token, "DPoP" if "cnf" in token.claims else "Bearer")


async def _refresh_token(attempt: Attempt, caller: Caller, target: Target) -> Mapping[str, Any]:
    """Say what a refresh token is worth, to its own client alone: whether it would be exchanged now, and for what."""
    shown = refresh_tokens.read(attempt.need("token"), target.issuer_path)
    family = await refresh.read(attempt, caller, target, shown.family) if shown is not None else None
    if shown is None or family is None or not _is_usable(family, shown.generation):
        return INACTIVE
    _join(attempt, caller, family)
    try:
        caller = await refresh.agent_of(attempt, caller, target, family)
    except Refused:
        return INACTIVE
    asked = await refresh.token_request_of(attempt, caller, target, family, None)
    session = await issue.session_of(attempt, asked)
    verdict = await rules.verdict(attempt.reads, asked, session, clock.now().timestamp())
    if verdict.issue is None and issue.begins_anew(asked, verdict):
        verdict = await rules.verdict(attempt.reads, asked, None, clock.now().timestamp())
    if verdict.issue is None:
        return INACTIVE
    return _live(
        family, caller, target.issuer_path, {"aud": family.resource, "scope": scopes.join(verdict.issue.scopes)}
    )


async def _idp_refresh_token(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Say the same of a refresh token of the identity side."""
    known = await id_token_refresh.read(attempt, caller, attempt.need("token"))
    if known is None or not _is_usable(*known) or not await id_token_refresh.is_live(attempt, caller, known[0]):
        return INACTIVE
    _join(attempt, caller, known[0])
    return _live(known[0], caller, addresses.IDP, {"scope": known[0].scope})


def _join(attempt: Attempt, caller: Caller, family: Family) -> None:
    """Go on in the trace of the sign-in that a refresh token of the caller's is of."""
    attempt.traced.join(sign_in_traces.at_our_pages(family.subject.login, family.auth_time, caller.client_id))


def _is_usable(family: Family, generation: int) -> bool:
    """Whether a generation of a family would be exchanged now, as far as the family is asked about."""
    try:
        refresh.check_open(family)
    except Refused:
        return False
    return refresh.use_of(family, generation) in (Use.CURRENT, Use.AGAIN)


def _live(family: Family, caller: Caller, issuer_path: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "active": True,
        "token_type": "refresh_token",
        "iss": addresses.issuer(issuer_path),
        "sub": family.subject.login,
        "client_id": caller.client_id,
        **more,
        **({"cnf": {"jkt": family.jkt}} if family.jkt else {}),
        "iat": int(family.started.timestamp()),
        "exp": int(min(family.expires, family.last_used + IDLE).timestamp()),
    }


async def idp_introspect(attempt: Attempt) -> Mapping[str, Any]:
    """Say what an ID-JAG, a refresh token or an access token of the code flow is worth now: to its own client alone."""
    caller = await client_authentication.caller(attempt, addresses.IDP)
    attempt.use_up_here()
    token = attempt.need("token")
    if refresh_tokens.is_one(token):
        return await _idp_refresh_token(attempt, caller)
    if "." not in token:
        return await _opaque(attempt.reads, token, caller)
    try:
        claims = await in_use.verify(attempt.reads, token, addresses.IDP, tokens.ID_JAG_TYP)
        attempt.traced.follow(claims)
        issued = await own_token(attempt.reads, claims, caller)
        if issued is None:
            return INACTIVE
        return _active(await presented.live(attempt.reads, claims, issued.target.slug), "N_A")
    except jws.BadToken:
        return INACTIVE


def _active(token: presented.LiveToken, token_type: str) -> dict[str, Any]:
    claims = {name: token.claims[name] for name in _SHOWN if name in token.claims}
    return {"active": True, "token_type": token_type, "scope": scopes.join(token.scopes), **claims}


async def own_token(reads: Reads, claims: Mapping[str, Any], caller: Caller) -> Issued | None:
    """Find the client's own token that claims of ours name."""
    jti = known_uuid(str(claims.get("jti")))
    issued = await callers.of_token(reads, jti) if jti is not None else None
    return issued if issued is not None and issued.caller.pk == caller.pk else None


async def opaque_token(reads: Reads, token: str, caller: Caller) -> Row | None:
    """Find a client's own access token of the code flow that has not expired: as the columns of the statement."""
    checksum = hashlib.sha256(token.encode()).hexdigest()
    rows = await reads.rows(_OPAQUE, [checksum, caller.pk, clock.now()])
    return rows[0] if rows else None


async def _opaque(reads: Reads, token: str, caller: Caller) -> Mapping[str, Any]:
    row = await opaque_token(reads, token, caller)
    if row is None or row[1] is None:
        return INACTIVE
    pk, person, login, scope, created, expires = row
    held, caller = frozenset(scope.split()), await connected_agent.for_person(reads, caller, person)
    live = Token(str(pk), created.timestamp(), expires.timestamp(), held)
    verdict = await sign_ins.may_sign_in(reads, caller, person, live, clock.now().timestamp())
    if not verdict.allowed:
        return INACTIVE
    return {
        "active": True,
        "token_type": "Bearer",
        "iss": addresses.issuer(addresses.IDP),
        "sub": login,
        "client_id": caller.client_id,
        "scope": scopes.join(held),
        "exp": int(expires.timestamp()),
    }
