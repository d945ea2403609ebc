"""The chain that grows when an agent delegates: who is to act, who stands behind, and when what is delegated ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from entitlements.clients import callers
from entitlements.clients.callers import Caller, Target
from entitlements.connections import connected_agent
from entitlements.decisions import policy, scopes
from entitlements.decisions.snapshot import Chain
from entitlements.dpop import proofs
from entitlements.edge import door, possession, refusals
from entitlements.edge.door import Attempt
from entitlements.edge.grant_types import audience
from entitlements.keys import act_claim, in_use, jws
from entitlements.tokens import presented, tokens
from entitlements.tokens.issue import RedeemedToken, Subject
from entitlements.traces import trace_context

from . import actor_tokens

EXPIRES: Final = "chain_expires"
"""The claim of an ID-JAG that says when what was delegated ends: no access token for it lives longer."""
_BAD: Final = "delegation_chain_invalid"
_TRACE: Final = """
SELECT t.trace, p.id, p.login, p.is_active, t.issued_at, t.expires_at FROM entitlements_issuedtoken t
JOIN entitlements_person p ON p.id = t.person_id WHERE t.jti = %s AND t.session_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Delegated:
    """Who acts, under which name at the resource authorization server, and the agents behind, nearest first.

    `jkt` is the thumbprint of the key that redeems it; empty for none.
    """

    caller: Caller
    name: str
    jkt: str
    chain: tuple[Caller, ...] = ()


@dataclass(frozen=True, slots=True)
class SubjectAccessToken:
    """An access token of the presenter's, by which its agent delegates on what was delegated to it."""

    claims: Mapping[str, Any]
    person: Subject
    session: UUID
    redeemed: RedeemedToken
    behind: Chain


async def joined(
    attempt: Attempt, presenter: Caller, person: int, target: Target, name: str, behind: Chain
) -> Delegated:
    """Return who is to act: the presenter's agent, or with an actor token another one that it delegates to.

    `name` is the presenter's identifier at the target, `behind` the agents behind the presenter's. Whether each agent
    permits it, the decision says. Raises Refused for an actor token that is not valid, a cycle and a chain too long.
    """
    found = await actor_tokens.check(attempt, presenter, person)
    if found is None:
        return Delegated(presenter, name, attempt.jkt)
    actor, jkt = found
    chain = (presenter, *await behind_of(attempt, behind, person))
    if actor.agent in {each.agent for each in chain}:
        raise refusals.invalid_request("An agent stands in a delegation chain once.", "delegation_cycle")
    if len(chain) > policy.MOST_BEHIND:
        raise refusals.invalid_request("The delegation chain is too long.", "delegation_too_deep")
    there = await audience.name_at(attempt, target, actor)
    attempt.ask = door.request_link(actor.agent, target.slug)
    return Delegated(actor, there, jkt, chain)


async def behind_of(attempt: Attempt, behind: Chain, person: int) -> tuple[Caller, ...]:
    """Find the agents behind by what a token of ours says of them. Raises Refused where one has another client now."""
    found: list[Caller] = []
    for agent, client in behind:
        caller = await callers.find(attempt.reads, client)
        if caller is not None:
            caller = await connected_agent.for_person(attempt.reads, caller, person)
        if caller is None or caller.agent != agent:
            raise refusals.invalid_grant(f"{agent} acts no longer through the client that it delegated by.", _BAD)
        found.append(caller)
        attempt.about.append(f"agent:{agent}")
    return tuple(found)


async def subject_access_token(
    attempt: Attempt, presenter: Caller, target: Target, resource: str
) -> SubjectAccessToken:
    """Check an access token of the presenter's for this very resource, with every right behind it. Raises Refused."""
    try:
        unverified = jws.recall(attempt.form["subject_token"])
        path = target.issuer_path
        claims = await in_use.verify_read(attempt.reads, unverified, path, tokens.ACCESS_TOKEN_TYP)
        live = await presented.live(attempt.reads, claims, target.slug)
        act, jti = act_claim.read(claims), UUID(live.jti)
        opened, covers_all = scopes.opened(live.scopes, claims.get(scopes.AGREED))
    except (jws.BadToken, scopes.ScopeMalformed) as error:
        raise refusals.invalid_grant(error.message, str(error.code)) from error
    if live.caller.client_id != presenter.client_id or claims.get("aud") != resource:
        message = "The subject token is for another client or another resource."
        raise refusals.invalid_grant(message, "audience_mismatch")
    possession.check_confirmation(attempt, claims)
    possession.check_public(attempt, presenter, proofs.key_of(claims))
    rows = await attempt.reads.rows(_TRACE, [jti])
    if act is None or not rows:
        raise refusals.invalid_grant("The subject token acts for no person.", "token_invalid")
    trace, pk, login, is_active, issued, expires = rows[0]
    if trace_context.is_trace(known := claims.get("txn") or trace):
        attempt.traced.join(str(known))
    attempt.about.append(f"token:{jti}")
    redeemed = RedeemedToken(
        str(jti), issued.timestamp(), expires.timestamp(), None if covers_all else frozenset(opened), jti
    )
    session = UUID(jws.text(claims, "sid"))
    return SubjectAccessToken(claims, Subject(pk, login, is_active), session, redeemed, act.behind)


def until(claims: Mapping[str, Any]) -> float | None:
    """Return when what an ID-JAG delegates ends; None where it only ends itself. Raises BadToken."""
    return jws.moment(claims, EXPIRES) if EXPIRES in claims else None
