"""What an access token or ID-JAG of ours is worth at this moment: signature, audience, and every right behind it.

A signature says what was true at issue. Here the rows are asked again: the person, agent, sponsor, client, system,
session and the grants, by the same policy that decides calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from audit import clock
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients import callers
from entitlements.clients.callers import Caller, Issued
from entitlements.codes import Code, meaning
from entitlements.decisions import own_connection, policy, scopes
from entitlements.decisions.own_connection import READS
from entitlements.decisions.reads import Reads
from entitlements.decisions.snapshot import Call, Chain, Token, chain_key
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.errors import DomainError
from entitlements.keys import act_claim, in_use, jws

from . import issue, narrowed_grants, tokens


class NotLive(jws.BadToken):
    """The token opens nothing any more."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(meaning(verdict.code).sentence, reasons=[reason.sentence for reason in verdict.reasons])
        self.__dict__["code"] = str(verdict.code)  # the word of this refusal, over the one of the class
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A live token that was checked: its client, person and scopes."""

    claims: Mapping[str, Any]
    caller: Caller
    person: str | None
    scopes: tuple[str, ...]

    @property
    def jti(self) -> str:
        """The token's identifier."""
        return str(self.claims["jti"])


def access_token(token: str, slug: str, resource: str) -> LiveToken:
    """Check an access token for one resource of a system, and that its rights still stand.

    Raises BadToken (also as TokenExpired, NotLive). For our own API: `slug` is `addresses.MANDATE`.
    """
    return own_connection.run(_access_token(token, slug, resource))


async def _access_token(token: str, slug: str, resource: str) -> LiveToken:
    claims = await in_use.verify(READS, token, addresses.issuer_path(slug), tokens.ACCESS_TOKEN_TYP)
    if claims.get("aud") != resource:
        raise AudienceMismatch
    return await live(READS, claims, slug)


async def live(reads: Reads, claims: Mapping[str, Any], slug: str) -> LiveToken:
    """Ask the rows about a token of this system whose signature was checked. Raises NotLive, BadToken."""
    issued = await _issued(reads, claims)
    if issued.target.slug != slug:
        raise jws.BadToken
    act = act_claim.read(claims)
    chain = act.behind if act is not None else ()
    verdict, held = await _verdict(reads, issued, claims.get(scopes.AGREED), chain)
    if not verdict.allowed:
        raise NotLive(verdict)
    return LiveToken(claims, issued.caller, issued.person, scopes.parse(issued.scope) if held is None else held)


class AudienceMismatch(jws.BadToken):
    """The token is for another resource."""

    code = Code.AUDIENCE_MISMATCH


async def _issued(reads: Reads, claims: Mapping[str, Any]) -> Issued:
    try:
        jti = UUID(jws.text(claims, "jti"))
    except ValueError as error:
        raise jws.BadToken from error
    issued = await callers.of_token(reads, jti)
    if issued is None:
        raise jws.BadToken("The token is not one that we recorded.")
    return issued


async def _verdict(
    reads: Reads, issued: Issued, agreed: object, chain: Chain
) -> tuple[Verdict, tuple[str, ...] | None]:
    """Decide; beside the verdict stand the scopes that are open now, None for those that the token carries.

    `chain` are the agents behind, by the claims. `agreed` is the claim of a token of a sign-in. Such a token lives
    without any grant: it can request access.
    """
    now, caller, target, person = clock.now(), issued.caller, issued.target, issued.person
    if issued.revoked is not None or not now < issued.expires:
        code = Code.TOKEN_EXPIRED if issued.revoked is None else Code.TOKEN_REVOKED
        return Verdict(Effect.DENY, code, (Reason(code, meaning(code).sentence),)), None
    held = frozenset(scopes.parse(issued.scope))
    if person is None and target.is_own_api:
        return await _by_api_scopes(reads, issued, held), None
    session = str(issued.session) if issued.session else None
    agents = chain_key(caller.agent or "", chain)
    known = await issue.facts_of(reads, agents, target, person=person, session=session, token=str(issued.jti))
    if known is None:
        return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, ()), None
    if target.kind == System.Kind.MCP:
        known = await narrowed_grants.left_out(reads, known, target.slug, caller.client_id, chain)
    agreed = agreed if target.is_decided_by_gateway else None
    opened, covers_all = scopes.opened(held, agreed)
    token = Token(str(issued.jti), issued.issued.timestamp(), issued.expires.timestamp(), opened, covers_all)
    agent = caller.agent or ""
    call = Call(agent, caller.client_id, person, target.slug, "", {}, token, session, chain=chain, whole_token=True)
    verdict = policy.still_live(call, known, now.timestamp())
    if agreed is None:
        return verdict, None
    if verdict.code is Code.NO_GRANT:
        return Verdict(Effect.ALLOW, Code.ALLOWED, verdict.reasons), ()
    return verdict, policy.live_scopes(call, known, now.timestamp())


async def _by_api_scopes(reads: Reads, issued: Issued, held: frozenset[str]) -> Verdict:
    """Decide about a token of a client for itself at our own API, which stands on the client's `api_scopes`."""
    now, caller, target = clock.now(), issued.caller, issued.target
    if not held <= set(caller.api_scopes):
        return Verdict(Effect.DENY, Code.NO_GRANT, ())
    if caller.agent is None:
        known = await tokens.facts_of_script(reads, caller, target)
    else:
        session = str(issued.session) if issued.session else None
        known = await reads.facts(caller.agent, target.slug, person=None, session=session, token=str(issued.jti))
    if known is None:
        return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, ())
    if policy.is_revoked_by_stop(caller.client_id, issued.issued.timestamp(), known):
        return Verdict(Effect.DENY, Code.TOKEN_REVOKED, ())
    return tokens.own_rights(caller, target, known, now.timestamp(), 1.0 + tokens.ID_JAG_SECONDS)


__all__ = ["AudienceMismatch", "DomainError", "LiveToken", "NotLive", "access_token", "live"]
