"""Revocation (RFC 7009): a client ends a token of its own, and is told nothing about any other."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from audit import clock, draft
from audit.actions import Action
from audit.draft import Draft
from entitlements import addresses
from entitlements.clients.callers import Caller, Target
from entitlements.codes import Code
from entitlements.connections import connected_agent
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.gateway.http import NO_STORE, Answer
from entitlements.keys import in_use, jws
from entitlements.node.refusals import Closed
from entitlements.token_families import refresh_tokens
from entitlements.tokens import tokens
from entitlements.tokens.issue_token import Outcome
from entitlements.tokens.revoke_tokens import TokenRevocation

from . import client_authentication, door, introspection
from .door import Attempt
from .sign_in import families, refresh

DONE: Final = Answer(HTTPStatus.OK, b"", (NO_STORE,))
_REASON: Final = "Revoked by its client."
_ATTEMPTS: Final = 4
_LIVING: Final = """
WITH RECURSIVE descending AS (
    SELECT jti, revoked_at FROM entitlements_issuedtoken WHERE jti = %s
    UNION SELECT t.jti, t.revoked_at FROM entitlements_issuedtoken t JOIN descending d ON t.parent = d.jti)
SELECT jti FROM descending WHERE revoked_at IS NULL ORDER BY jti
"""
"""The token, what was issued for it, and what further agents got for that by delegation."""


async def system(attempt: Attempt, system: str) -> Answer:
    """Revoke an access token of the calling client, or with a refresh token all that came of its sign-in.

    Says nothing about any other (RFC 7009 section 2.2).
    """
    caller, target, _ = await client_authentication.caller_at(attempt, system, allow_public=True)
    if refresh_tokens.is_one(token := attempt.need("token")):
        return await _end_family(attempt, caller, target, token)
    return await _revoke(attempt, target.issuer_path, tokens.ACCESS_TOKEN_TYP, caller)


async def idp(attempt: Attempt) -> Answer:
    """Revoke an ID-JAG, with what was issued for it, or an access token of the code flow, of the calling client.

    With a refresh token all that came of its sign-in.
    """
    caller = await client_authentication.caller(attempt, addresses.IDP, allow_public=True)
    if refresh_tokens.is_one(token := attempt.need("token")):
        return await _end_family(attempt, caller, None, token)
    if "." in token:
        return await _revoke(attempt, addresses.IDP, tokens.ID_JAG_TYP, caller)
    return await _end_opaque(attempt, caller)


async def _revoke(attempt: Attempt, issuer_path: str, typ: str, caller: Caller) -> Answer:
    try:
        claims = await in_use.verify(attempt.reads, attempt.need("token"), issuer_path, typ)
    except jws.BadToken:
        attempt.use_up_here()
        return DONE
    attempt.traced.follow(claims)
    issued = await introspection.own_token(attempt.reads, claims, caller)
    for _ in range(_ATTEMPTS):
        rows = await attempt.reads.rows(_LIVING, [issued.jti]) if issued is not None else []
        if issued is None or not rows:
            attempt.use_up_here()
            return DONE
        living = tuple(row[0] for row in rows)
        links = [f"token:{jti}" for jti in living] + issued.caller.links
        event = draft.draft(Action.TOKEN_REVOKED, by=issued.caller.principal, about=links, reason=_REASON)
        lock = locks.number(Lock.TOKEN, issued.jti)
        ending = TokenRevocation(clock.now(), caller.pk, _REASON, issued.jti, living, lock)
        if await _is_written(attempt, ending, event):
            return DONE
    raise Closed(Code.FEED_UNKNOWN)


async def _end_family(attempt: Attempt, caller: Caller, target: Target | None, token: str) -> Answer:
    presented = refresh_tokens.read(token, target.issuer_path if target else addresses.IDP)
    family = await refresh.read(attempt, caller, target, presented.family) if presented is not None else None
    if family is not None:
        caller = await connected_agent.for_person(attempt.reads, caller, family.subject.pk)
        attempt.about = [f"person:{family.subject.login}", *([f"system:{target.slug}"] if target else [])]
        if await families.end(attempt, caller, family.pk, Action.TOKEN_FAMILY_REVOKED, _REASON):
            return DONE
    attempt.use_up_here()
    return DONE


async def _end_opaque(attempt: Attempt, caller: Caller) -> Answer:
    row = await introspection.opaque_token(attempt.reads, attempt.form["token"], caller)
    if row is None:
        attempt.use_up_here()
        return DONE
    event = draft.draft(Action.TOKEN_REVOKED, by=caller.principal, about=caller.links, reason=_REASON)
    await _is_written(attempt, TokenRevocation(clock.now(), caller.pk, _REASON, opaque=row[0]), event)
    return DONE


async def _is_written(attempt: Attempt, ending: TokenRevocation, event: Draft) -> bool:
    answer = await attempt.outside.end(ending, event, None if attempt.is_used_up else attempt.proof)
    door.check_used(attempt, answer)
    if attempt.proof is not None and answer.outcome is Outcome.REVOKED:
        attempt.outside.claim_here(attempt.proof)  # also against a second request, which has nothing to end
    return answer.outcome is not Outcome.BEHIND
