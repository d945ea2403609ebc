"""The refresh grant at a system (RFC 6749 section 6): rights are decided anew, and the refresh token is replaced.

Where nothing but the token says which client refreshes, each generation is used once. Several processes of one client
share a token, and one that has not heard of the successor gets it again for a moment; later use ends the family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from audit import clock
from audit.actions import Action
from entitlements import authentication
from entitlements.clients.callers import Caller, Target
from entitlements.codes import Code, meaning
from entitlements.decisions import facts, scopes
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.edge import issue, possession, refusals
from entitlements.edge.delegation import agents
from entitlements.edge.door import Attempt
from entitlements.edge.grant_types import jwt_bearer
from entitlements.token_families import refresh_tokens, rules
from entitlements.token_families.rules import Use
from entitlements.tokens.issue import NotIssued, RedeemedToken, Subject, TokenRequest
from entitlements.tokens.issue_family_token import FamilyMoved, FamilyStep
from entitlements.tokens.models import IssuedToken
from entitlements.words import Flow

from . import code, families, sign_in_traces

GRANT: Final = "refresh_token"
REUSED: Final = "A refresh token was used again after it had been replaced."
MOVED: Final = "agent_changed"
ATTEMPTS: Final = 10
"""How often another process of the same client may come first."""
_FAMILY: Final = """
SELECT f.id, f.scope, f.resource, f.sign_in_sha256, f.auth_time, f.generation, f.retired, f.started_at, f.last_used_at,
       f.expires_at, f.ended_at IS NOT NULL, f.agent_id, f.acr, f.amr, f.jkt, p.id, p.login, p.is_active,
       p.sign_ins_valid_after,
       extract(epoch FROM greatest(a.sign_in_required_after, p.sign_in_required_after))::float8
FROM entitlements_tokenfamily f JOIN entitlements_person p ON p.id = f.person_id
LEFT JOIN entitlements_agent a ON a.id = f.agent_id
WHERE f.id = %s AND f.client_id = %s AND f.system_id IS NOT DISTINCT FROM %s::bigint
"""


@dataclass(frozen=True, slots=True)
class Family:
    """One row, as it was read; what was signed in before `valid_after`, or before `required`, counts no more."""

    subject: Subject
    valid_after: datetime | None
    required: float | None
    pk: UUID
    scope: str
    resource: str
    sign_in: str
    auth_time: datetime
    generation: int
    retired: list[datetime]
    started: datetime
    last_used: datetime
    expires: datetime
    is_ended: bool
    agent_pk: int | None
    acr: str
    amr: str
    jkt: str
    """The thumbprint of the key that each use of its refresh token must prove; empty for none."""

    @property
    def signed_in(self) -> dict[str, Any]:
        """What its tokens say of the sign-in."""
        return authentication.claims(self.auth_time, self.acr, self.amr)

    @property
    def redeemed(self) -> RedeemedToken:
        """What its refresh token stands for in a decision."""
        return RedeemedToken(str(self.pk), self.started.timestamp(), self.expires.timestamp(), self.ceiling)

    @property
    def ceiling(self) -> frozenset[str] | None:
        """The scopes that the person agreed to; None for whatever the agent holds."""
        return frozenset(scopes.parse(self.scope)) or None


async def refresh(attempt: Attempt, caller: Caller, target: Target) -> Mapping[str, Any]:
    """Answer a refresh request of a client at a system. Raises Refused, NotIssued."""
    agents.check_agent(caller)
    presented = refresh_tokens.read(attempt.need("refresh_token"), target.issuer_path)
    if presented is None:
        raise unknown()
    requested = frozenset(scopes.parse(attempt.form.get("scope"))) or None
    for _ in range(ATTEMPTS):
        family = await read(attempt, caller, target, presented.family)
        if family is None:
            raise unknown()
        caller = await agent_of(attempt, caller, target, family)
        use = await check_use(attempt, caller, family, presented.generation)
        if attempt.form.get("resource", family.resource) != family.resource:
            raise refusals.invalid_target("The resource is not the one that the person signed in to.")
        token_request = await token_request_of(attempt, caller, target, family, requested)
        rotates = use is Use.CURRENT and not families.is_proven(caller)
        token_request.family = FamilyStep(family.pk, family.generation, rotates, source=attempt.source)
        token_request.detail["use"] = str(use)
        try:
            token, minted = await issue.access_token(attempt, token_request, family.resource, family.signed_in)
        except FamilyMoved:
            attempt.read_again()
            continue
        answer = jwt_bearer.access_token_answer(attempt, token, minted, family.resource)
        return {**answer, "refresh_token": code.refresh_token(token_request, target)}
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), list(attempt.about))


async def read(attempt: Attempt, caller: Caller, target: Target | None, pk: UUID) -> Family | None:
    """Read a family of a client at a system, without one at the identity side, as it is now."""
    rows = await attempt.reads.rows(_FAMILY, [pk, caller.pk, target.pk if target else None])
    if not rows:
        return None
    *columns, person, login, is_active, valid_after, required = rows[0]
    return Family(Subject(person, login, is_active), valid_after, required, *columns)


async def agent_of(attempt: Attempt, caller: Caller, target: Target, family: Family) -> Caller:
    """Return the client with its agent for the person, who must be the one that the family began with. Raises Refused.

    A sign-in is with one agent: what was agreed to for another is not its own.
    """
    caller = await agents.for_person(attempt, caller, family.subject.pk, target.slug)
    if caller.agent_pk != family.agent_pk:
        raise moved()
    return caller


def moved() -> refusals.Refused:
    """Return the refusal of a sign-in whose client acts through another agent for its person by now."""
    return refusals.invalid_grant("The client acts through another agent now. The person must sign in again.", MOVED)


def use_of(family: Family, generation: int) -> Use:
    """Say what presenting a generation of a family means now."""
    return rules.use(generation, family.generation, family.retired, clock.now(), settings.REFRESH_REUSE_WINDOW)


def check_open(family: Family) -> None:
    """Refuse a family that has ended, by an act or by time. Raises Refused."""
    if family.is_ended:
        raise refusals.invalid_grant("The sign-in was ended. The person must sign in again.", "token_family_ended")
    if rules.is_over(family.last_used, family.expires, clock.now()):
        raise refusals.invalid_grant(
            "The sign-in has reached its longest life, or was not used. The person must sign in again.",
            "token_family_expired",
        )
    families.check_person(family.subject, family.valid_after, family.started)
    if facts.is_signed_in_too_early(family.auth_time.timestamp(), family.required):
        raise refusals.invalid_grant(meaning(Code.REAUTHENTICATION_DUE).sentence, str(Code.REAUTHENTICATION_DUE))


async def token_request_of(
    attempt: Attempt, caller: Caller, target: Target, family: Family, requested: frozenset[str] | None
) -> TokenRequest:
    """Return what a refresh asks for: what was agreed to, or a part of it."""
    subject = family.subject
    signed_in = family.signed_in
    known = await families.session_of(attempt, caller, subject, family.sign_in, family.auth_time, signed_in)
    return TokenRequest(
        Flow.REFRESH,
        IssuedToken.Kind.ACCESS_TOKEN,
        caller,
        target,
        subject,
        family.ceiling if requested is None else requested,
        target.token_seconds,
        session=known.session,
        sign_in=known.begins,
        successor=known.successor,
        redeemed=family.redeemed,
        detail={"resource": family.resource},
    )


async def check_use(attempt: Attempt, caller: Caller, family: Family, generation: int) -> Use:
    """Return what a presented generation means where a token follows. Raises Refused, and ends a family by a replay."""
    for link in (f"person:{family.subject.login}", f"token_family:{family.pk}"):
        if link not in attempt.about:
            attempt.about.append(link)
    attempt.traced.join(sign_in_traces.at_our_pages(family.subject.login, family.auth_time, caller.client_id))
    possession.check_key(attempt, family.jkt)  # first: who stole it cannot end the family
    check_open(family)
    use = use_of(family, generation)
    if use is Use.UNKNOWN:
        raise unknown()
    if use is Use.REPLAYED:
        if not attempt.reads.is_from_memory:  # else the same request begins again on facts of now
            await families.end(attempt, caller, family.pk, Action.TOKEN_FAMILY_REUSED, REUSED)
        raise refusals.invalid_grant(
            "The refresh token was used before, so the sign-in was ended. The person must sign in again.",
            "refresh_token_reused",
        )
    return use


def unknown() -> refusals.Refused:
    """Return the refusal of what is no refresh token of this client here."""
    return refusals.invalid_grant("The refresh token is not one of this client.", "refresh_token_unknown")
