"""The refresh grant at `/idp` (RFC 6749 section 6, OpenID Connect Core 12): a new ID token of a sign-in that lasts.

The rules are those of a refresh at a system (`refresh.py`). The claims are the person's of now, but for the time and
the manner of the sign-in, which stay; a nonce is not repeated (section 12.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import clock
from entitlements import addresses
from entitlements.clients.callers import Caller
from entitlements.codes import Code
from entitlements.connections import connected_agent
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import Token
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.edge import refusals
from entitlements.edge.delegation import agents
from entitlements.edge.door import Attempt
from entitlements.edge.grant_types import id_token
from entitlements.edge.grant_types.id_token import Grant
from entitlements.keys import in_use
from entitlements.people import sign_ins
from entitlements.session_policies.rules import SignedIn
from entitlements.token_families import refresh_tokens
from entitlements.token_families.rules import Use
from entitlements.tokens.issue import NotIssued
from entitlements.tokens.issue_family_token import FamilyMoved, FamilyStep
from entitlements.words import Flow

from . import families
from . import refresh as at_system
from .refresh import Family


async def refresh(attempt: Attempt, caller: Caller) -> Mapping[str, Any]:
    """Answer a refresh request of a client at the identity side. Raises Refused, NotIssued."""
    token, key = attempt.need("refresh_token"), await in_use.signer(attempt.reads, addresses.IDP)
    for _ in range(at_system.ATTEMPTS):
        caller, family, use = await presented(attempt, caller, token)
        rotates = use is Use.CURRENT and not families.is_proven(caller)
        grant = Grant(
            Flow.REFRESH,
            family.subject.pk,
            family.subject.login,
            _scope(attempt, family),
            family.signed_in,
            family=FamilyStep(family.pk, family.generation, rotates, source=attempt.source),
            detail={"use": str(use)},
        )
        moment = clock.now()
        await id_token.check_rights(attempt, caller, grant, redeemed(family), moment)
        try:
            answer = await id_token.write(attempt, caller, grant, moment, key)
        except FamilyMoved:
            answer = None
        if answer is not None:
            return answer
        attempt.read_again()
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), list(attempt.about))


async def read(attempt: Attempt, caller: Caller, token: str) -> tuple[Family, int] | None:
    """Return the family that a refresh token names, and its generation; None for no token of this client here."""
    shown = refresh_tokens.read(token, addresses.IDP)
    family = await at_system.read(attempt, caller, None, shown.family) if shown is not None else None
    return (family, shown.generation) if shown is not None and family is not None else None


async def presented(attempt: Attempt, caller: Caller, token: str) -> tuple[Caller, Family, Use]:
    """Check a refresh token of the identity side, and say what its use means. Raises Refused; a replay ends the family.

    It was issued here, to this client, and neither it nor its family has ended (EMA-I-3). The client is returned with
    its agent for the person.
    """
    known = await read(attempt, caller, token)
    if known is None:
        raise at_system.unknown()
    family, generation = known
    agents.count(attempt, caller, family.subject.pk)
    caller = await agent_of(attempt, caller, family)
    return caller, family, await at_system.check_use(attempt, caller, family, generation)


async def agent_of(attempt: Attempt, caller: Caller, family: Family) -> Caller:
    """Return the client with its agent for the person, where it has one. Raises Refused where that is another by now.

    A sign-in that began before the person had an agent at the client goes on with the one that they have since.
    """
    caller = await connected_agent.for_person(attempt.reads, caller, family.subject.pk)
    if family.agent_pk is not None and caller.agent_pk != family.agent_pk:
        raise agents.connection_missing() if caller.agent_pk is None else at_system.moved()
    attempt.by = caller.principal
    return caller


async def is_live(attempt: Attempt, caller: Caller, family: Family) -> bool:
    """Whether a refresh would be answered now, as far as its person, client and agent are asked about."""
    try:
        caller = await agent_of(attempt, caller, family)
    except refusals.Refused:
        return False
    now = clock.now().timestamp()
    held, person, signed_in = redeemed(family), family.subject.pk, SignedIn.of_claims(family.signed_in)
    verdict = await sign_ins.may_sign_in(
        attempt.reads, caller, person, held, now, flow=Flow.REFRESH, signed_in=signed_in
    )
    return verdict.allowed


def redeemed(family: Family) -> Token:
    """Return what a refresh token of a family stands for in a decision."""
    held = family.ceiling or frozenset()
    return Token(str(family.pk), family.started.timestamp(), family.expires.timestamp(), held)


def _scope(attempt: Attempt, family: Family) -> str:
    """Return the scope of the answer: what was agreed to, or the part that is asked for, always with `openid`."""
    requested, agreed = frozenset(scopes.parse(attempt.form.get("scope"))), frozenset(scopes.parse(family.scope))
    if not requested:
        return family.scope
    if not requested <= agreed or "openid" not in requested:
        raise refusals.Refused("invalid_scope", "scope_missing", "The scope is not what the person agreed to.")
    return scopes.join(scopes.canonical(requested))
