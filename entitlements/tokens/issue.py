"""What a client asks for, and whether it may have it: the rule for every token that stands on grants.

The token is written by `sql/issue_token_v3.sql`, which holds shared locks on all that could be taken away before it
looks again: a revocation either comes before that look, or waits for the commit and then finds the token.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit import context
from entitlements import all_systems
from entitlements.authorization_details.details import Details
from entitlements.catalog.models import System
from entitlements.clients.callers import Caller, Target
from entitlements.codes import Code, meaning
from entitlements.decisions import guardrails, policy, session_terms
from entitlements.decisions.reads import FeedSubject, Reads, Rows
from entitlements.decisions.scopes import Outcome
from entitlements.decisions.snapshot import AgentFacts, Chain, Issuance, Token, chain_key
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.session_policies.rules import UNKNOWN, SignedIn
from entitlements.words import Flow, Next, Risk, Status

from . import earlier_sessions, granted_details, narrowed_grants
from .issue_family_token import FamilyStep

JITTER: Final = 0.1
"""Lifetimes vary by so much downward, so that what was issued together does not come back together."""

_CANDIDATES: Final = """
SELECT g.id, array_agg(l.tool_id),
       array(SELECT u.group_id FROM entitlements_grantsubject u WHERE u.grant_id = g.id AND u.group_id IS NOT NULL)
FROM entitlements_grant g
JOIN entitlements_entitlement e ON e.id = g.entitlement_id AND e.system_id = %(system)s
JOIN entitlements_grantline l ON l.grant_id = g.id
WHERE g.agent_id = %(agent)s AND g.ended_at IS NULL AND CASE WHEN %(person)s::bigint IS NULL
  THEN NOT EXISTS (SELECT FROM entitlements_grantsubject u WHERE u.grant_id = g.id)
  ELSE EXISTS (SELECT FROM entitlements_grantsubject u
               LEFT JOIN entitlements_membership m ON m.group_id = u.group_id AND m.person_id = %(person)s
               WHERE u.grant_id = g.id AND coalesce(u.person_id, m.person_id) = %(person)s) END
GROUP BY g.id
"""


class NotIssued(DomainError):
    """The token may not be issued. Where a sign-in is asked for, `detail` says which (RFC 9470)."""

    def __init__(self, verdict: Verdict, links: list[str], flow: Flow | None = None) -> None:
        remedy = verdict.remedy
        super().__init__(
            meaning(verdict.code).sentence,
            reasons=[reason.sentence for reason in verdict.reasons],
            remedy=remedy.sentence if remedy else "",
            **({"max_age": remedy.max_age} if remedy and remedy.max_age is not None else {}),
            **({"acr_values": " ".join(remedy.contexts)} if remedy and remedy.contexts else {}),
        )
        self.__dict__["code"] = str(verdict.code)  # the word of this refusal, over the one of the class
        self.verdict, self.links, self.flow = verdict, links, flow

    @property
    def requestable(self) -> bool:
        """Whether asking for access would help."""
        return self.verdict.remedy is not None and self.verdict.remedy.next is Next.REQUEST


@dataclass(frozen=True, slots=True)
class Subject:
    """The person acted for."""

    pk: int
    login: str
    is_active: bool

    @classmethod
    def of(cls, person: Person) -> Subject:
        """Take what issuing needs of a person."""
        return cls(person.pk, person.login, person.is_active)


@dataclass(frozen=True, slots=True)
class SignIn:
    """The sign-in behind an exchange: its session is found by the digest, or begun.

    `claim` is the claim that says when the person signed in: `auth_time`, or `iat` where the issuer sends none.
    `stated` is what the sign-in itself says: then its time is not known.
    """

    digest: str
    auth_time: datetime | None
    claim: str = "auth_time"
    stated: SignedIn = UNKNOWN


@dataclass(frozen=True, slots=True)
class RedeemedToken:
    """A redeemed token of ours or assertion of a trusted issuer, with the scopes that it allows."""

    jti: str
    issued: float
    expires: float
    scopes: frozenset[str] | None
    row: UUID | None = None


@dataclass(slots=True)
class TokenRequest:
    """One token that a client asks for; `rule` replaces `decide` where rights are not grants.

    `chain` are the agents behind the one of `caller`, nearest first, each by its client; the session is that of the
    last. `until`, in epoch seconds, is a moment that the token must not outlive. `details` are the authorization
    details asked for, within those of what is redeemed. `successor` begins the session after `session`, where that one
    lapses and a policy lets it begin anew.
    """

    flow: Flow
    kind: str
    caller: Caller
    target: Target
    subject: Subject | None
    requested: frozenset[str] | None
    seconds: int
    session: UUID | None = None
    sign_in: SignIn | None = None
    successor: SignIn | None = None
    redeemed: RedeemedToken | None = None
    rule: Rule | None = None
    family: FamilyStep | None = None
    chain: tuple[Caller, ...] = ()
    until: float | None = None
    details: Details | None = None
    detail: dict[str, object] = field(default_factory=dict)
    also_about: tuple[str, ...] = ()
    """Links of its event beside the usual ones."""
    jkt: str = ""
    """The thumbprint of the key that the token will be bound to; empty for a bearer token."""
    risk: Risk = Risk.LOW
    """The risk level of a session that it begins."""

    @property
    def ceiling(self) -> frozenset[str] | None:
        """The scopes that the token may open for as long as it lives; None for whatever is granted meanwhile."""
        ceiling = self.redeemed.scopes if self.redeemed else None
        return self.requested if ceiling is None else ceiling & (ceiling if self.requested is None else self.requested)

    @property
    def lifetime(self) -> float:
        """The seconds to live, a little less each time."""
        return self.seconds * (1 - JITTER * random.random())  # noqa: S311 - it spreads load and keeps no secret

    @property
    def root(self) -> Caller:
        """The client whose agent began the chain, and its session: where none is behind, the one that acts."""
        return self.chain[-1] if self.chain else self.caller

    @property
    def behind(self) -> Chain:
        """The agents behind the one that acts, as the policy asks about them."""
        return tuple((caller.agent or "", caller.client_id) for caller in self.chain)

    @property
    def links(self) -> list[str]:
        """How the event of this token, or of its refusal, is found again."""
        person = [f"person:{self.subject.login}"] if self.subject else []
        family = [f"token_family:{self.family.family}"] if self.family else []
        chain = [link for caller in self.chain for link in caller.links]
        links = [*self.caller.links, *chain, *person, f"system:{self.target.slug}", *family]
        return [*links, *(link for link in self.also_about if link not in links)]


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that may now be signed: its row and its event are written."""

    jti: UUID
    scopes: tuple[str, ...]
    issued: int
    expires: int
    session: UUID | None
    details: tuple[Mapping[str, Any], ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The grants that a token could stand on, with their tools and the groups that they are given to."""

    grants: tuple[UUID, ...]
    tools: tuple[int, ...]
    groups: tuple[int, ...]


type Rule = Callable[[Reads, TokenRequest, UUID | None, float], Awaitable[Verdict]]


async def verdict(reads: Reads, token_request: TokenRequest, session: UUID | None, now: float) -> Verdict:
    """Ask the rule that the token stands on."""
    return await (token_request.rule or decide)(reads, token_request, session, now)


async def decide(reads: Reads, token_request: TokenRequest, session: UUID | None, now: float) -> Verdict:
    """Ask the policy: the rule for every token that stands on grants."""
    agent, person, redeemed = token_request.caller.agent or "", token_request.subject, token_request.redeemed
    known = await facts_of(
        reads,
        chain_key(agent, token_request.behind),
        token_request.target,
        session=str(session) if session else None,
        token=str(redeemed.row) if redeemed is not None and redeemed.row else None,
    )
    if known is None:
        return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, ())
    if person is not None:
        known = _with_person(known, person)
    token = None
    if redeemed is not None:
        ceiling = redeemed.scopes if redeemed.scopes is not None else _held(known)
        token = Token(redeemed.jti, redeemed.issued, redeemed.expires, ceiling)
    issuance = Issuance(
        token_request.flow,
        agent,
        token_request.caller.client_id,
        person.login if person else None,
        token_request.target.slug,
        token_request.requested,
        _lifetime(token_request, now),
        token,
        session=str(session) if session else None,
        begins_session=token_request.sign_in is not None and session is None,
        for_all_systems=token_request.target.is_all_systems,
        may_be_empty=may_be_empty(token_request.flow, token_request.target),
        chain=token_request.behind,
    )
    if issuance.begins_session and token_request.sign_in is not None:
        issuance.signed_in = token_request.sign_in.stated
        if session_terms.looks_back(known):
            root = token_request.root
            issuance.earlier = await earlier_sessions.read(reads, root.pk, person.pk if person else None, root.agent_pk)
    if token_request.chain and token_request.flow is Flow.TOKEN_EXCHANGE:
        verdict = await _delegate(reads, token_request, issuance, known, now)
    else:
        verdict = await _judge(reads, token_request, issuance, known, now)
    return granted_details.carried(token_request, verdict, known, now)


async def _delegate(
    reads: Reads, token_request: TokenRequest, issuance: Issuance, known: AgentFacts, now: float
) -> Verdict:
    """Ask about an ID-JAG for another agent: what is presented is of those behind, and its scopes are a ceiling."""
    redeemed = token_request.redeemed
    issuance.token, issuance.delegated = None, issuance.token
    if redeemed is None or redeemed.row is None or redeemed.scopes is None:  # a sign-in carries no scopes of a system
        return await _judge(reads, token_request, issuance, known, now)
    requested = redeemed.scopes if issuance.requested is None else issuance.requested
    issuance.requested = requested & redeemed.scopes
    verdict = await _judge(reads, token_request, issuance, known, now)
    if verdict.issue is None:
        return verdict
    outside = dict.fromkeys(requested - redeemed.scopes, Outcome.OUTSIDE_CEILING)
    return replace(verdict, issue=replace(verdict.issue, outcomes={**verdict.issue.outcomes, **outside}))


async def _judge(
    reads: Reads, token_request: TokenRequest, issuance: Issuance, known: AgentFacts, now: float
) -> Verdict:
    if token_request.target.kind != System.Kind.MCP:  # through our gateway each call is held against the lines
        return policy.may_issue(issuance, known, now)
    client = token_request.caller.client_id
    whole = await narrowed_grants.left_out(reads, known, token_request.target.slug, client, token_request.behind)
    decided = policy.may_issue(issuance, whole, now)
    would_do = decided.code is Code.NO_GRANT and policy.may_issue(issuance, known, now).issue is not None
    return _narrower(decided) if would_do else decided


def _lifetime(token_request: TokenRequest, now: float) -> float:
    """Return the seconds to live, which end with what is delegated."""
    until = token_request.until
    return token_request.lifetime if until is None else min(token_request.lifetime, until - now)


def _with_person(known: AgentFacts, person: Subject) -> AgentFacts:
    """Know the person acted for, who may hold nothing here, in the facts about each agent of a chain."""
    behind = tuple(_with_person(each, person) for each in known.behind)
    if person.login in known.people:
        return replace(known, behind=behind) if behind else known
    status = Status.ACTIVE if person.is_active else Status.DISABLED
    return replace(known, people={**known.people, person.login: status}, behind=behind)


async def facts_of(
    reads: Reads,
    agent: str,
    target: Target,
    *,
    person: str | None = None,
    session: str | None = None,
    token: str | None = None,
) -> AgentFacts | None:
    """Return the facts about an agent at a system, or at all of them together; None when it is unknown."""
    known = await reads.facts(agent, target.slug, person=person, session=session, token=token)
    if known is None or not target.is_all_systems:
        return known
    return await all_systems.with_all(reads, known, target.slug, System.SERVED)


def may_be_empty(flow: Flow, target: Target) -> bool:
    """Whether a token may be issued that draws on no grant: to a person who signed in, where our gateway decides.

    A system that looks at tokens itself may take any that is valid; it gets none that opens nothing.
    """
    return target.is_decided_by_gateway and flow in (Flow.AUTHORIZATION_CODE, Flow.REFRESH)


def _narrower(verdict: Verdict) -> Verdict:
    """Say that what is held gives less than any scope that could be issued for it."""
    code, narrower = Code.GRANT_NARROWER_THAN_SCOPE, meaning(Code.GRANT_NARROWER_THAN_SCOPE)
    remedy = replace(verdict.remedy, next=narrower.next, sentence=narrower.remedy) if verdict.remedy else None
    return replace(verdict, code=code, reasons=(Reason(code, narrower.sentence),), remedy=remedy)


def _held(known: AgentFacts) -> frozenset[str]:
    """Return all scopes: the ceiling of a foreign assertion that names none."""
    return frozenset(line.scope for lines in known.lines.values() for line in lines)


async def candidates(reads: Reads, token_request: TokenRequest) -> Candidates:
    """Find the grants that the token could stand on; one for all systems stands on none.

    One of a delegation chain stands on grants of each of its agents.
    """
    target, person = token_request.target, token_request.subject
    if token_request.caller.agent_pk is None or target.is_all_systems:
        return Candidates((), (), ())
    rows: Rows = []
    for caller in (token_request.caller, *token_request.chain):
        known = {"agent": caller.agent_pk, "system": target.pk, "person": person.pk if person else None}
        about: list[FeedSubject] = [("agent_id", caller.agent_pk), ("system_id", target.pk)]
        about += [("person_id", person.pk)] if person else []
        rows += await reads.kept(_CANDIDATES, known, lambda _, about=about: about)  # type: ignore[misc]
    tools, groups = {tool for row in rows for tool in row[1]}, {group for row in rows for group in row[2]}
    return Candidates(tuple(row[0] for row in rows), tuple(sorted(tools)), tuple(sorted(groups)))


def locks_of(
    token_request: TokenRequest, found: Candidates, session: UUID | None, trusted_issuer: int | None = None
) -> list[int]:
    """Number what is locked before anything is written, in the one order.

    Tools are locked where a scope of them is all that their system looks at; our gateway decides each call again.
    """
    caller = token_request.caller
    keys: list[locks.Key] = [
        (Lock.EVERYTHING, guardrails.EVERYTHING),
        (Lock.CLIENT, caller.pk),
        (Lock.SYSTEM, token_request.target.pk),
    ]
    for each in (caller, *token_request.chain):
        if each.agent_pk is not None:
            keys += [(Lock.AGENT, each.agent_pk), (Lock.PERSON, each.sponsor_pk), (Lock.CLIENT, each.pk)]
    if token_request.subject is not None:
        keys.append((Lock.PERSON, token_request.subject.pk))
    keys += [(Lock.GRANT, grant) for grant in found.grants]
    if token_request.target.kind == System.Kind.MCP:
        keys += [(Lock.TOOL, tool) for tool in found.tools]
    if session is not None:
        keys.append((Lock.SESSION, session))
    if token_request.redeemed is not None and token_request.redeemed.row is not None:
        keys.append((Lock.TOKEN, token_request.redeemed.row))
    if trusted_issuer is not None:
        keys.append((Lock.TRUSTED_ISSUER, trusted_issuer))
    if token_request.family is not None and token_request.family.begins is None:
        keys.append((Lock.TOKEN_FAMILY, token_request.family.family))
    return locks.numbers(keys)


def person_of(token_request: TokenRequest) -> context.Principal | None:
    """Return whom the token acts for."""
    return context.Principal("person", token_request.subject.login) if token_request.subject else None
