"""Which subject tokens are exchanged for an ID-JAG: ID tokens, and refresh tokens of the identity side (EMA-I-3).

A refresh token is checked as the refresh grant checks it, and not replaced. An ID token of a sign-in that lasts counts
for as long as that does. What is issued names the family, so that its end reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entitlements.clients.callers import Caller
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.edge import possession, refusals
from entitlements.edge.door import Attempt
from entitlements.edge.grant_types import exchange as leg_1
from entitlements.edge.grant_types.exchange import Identity
from entitlements.strict import known_uuid
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_family_token import FamilyMoved, FamilyStep

from . import families, id_token_refresh, refresh, sign_in_traces
from .refresh import Family


async def exchange(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Answer a token exchange of an authenticated client. Raises Refused, NotIssued and what issuing raises."""
    for _ in range(refresh.ATTEMPTS):
        try:
            return await leg_1.exchange(attempt, caller, _identity)
        except FamilyMoved:
            attempt.read_again()
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), list(attempt.about))


async def _identity(attempt: Attempt, caller: Caller) -> Identity:
    if attempt.form["subject_token_type"] == leg_1.REFRESH_TOKEN:
        caller, family, _ = await id_token_refresh.presented(attempt, caller, attempt.form["subject_token"])
        possession.check_public(attempt, caller, family.jkt)
        return await _of_family(attempt, caller, family)
    possession.check_public(attempt, caller, "")
    assertion = await leg_1.assertion(attempt, caller)
    if assertion.family:
        return await _of_family(attempt, caller, await _family(attempt, caller, assertion.family))
    attempt.traced.join(
        sign_in_traces.trace(assertion.issuer, assertion.subject, assertion.signed_in.at, caller.client_id)
    )
    return Identity(assertion.person, leg_1.sign_in_claims(assertion.claims), assertion=assertion)


async def _family(attempt: Attempt, caller: Caller, sid: str) -> Family:
    """Read the family of an ID token of ours. Raises Refused where it has ended."""
    pk = known_uuid(sid)
    family = await refresh.read(attempt, caller, None, pk) if pk is not None else None
    if family is None:
        raise refusals.invalid_grant("The ID token is of no sign-in of this client.", "token_invalid")
    refresh.check_open(family)
    await id_token_refresh.agent_of(attempt, caller, family)
    return family


async def _of_family(attempt: Attempt, caller: Caller, family: Family) -> Identity:
    person, claims = family.subject, family.signed_in
    known = await families.session_of(attempt, caller, person, family.sign_in, family.auth_time, claims)
    step = FamilyStep(family.pk, family.generation, source=attempt.source)
    return Identity(
        person, claims, known.session, known.begins, known.successor, step, family.redeemed, family.resource
    )
