"""The one place where a token comes to be: locks, facts, the decision, rows and one event, in one transaction.

Every grant type comes through `issue`. Shared locks are held on all that could be taken away before its state is read,
so that a revocation either comes before the read, or waits for the commit and then finds the token.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from entitlements import prepared
from entitlements.catalog.models import System
from entitlements.clients.callers import Caller, Target
from entitlements.clients.models import Client
from entitlements.codes import Code, Next, meaning
from entitlements.decisions import facts, guardrails, policy, scopes
from entitlements.decisions.snapshot import AgentFacts, Issuance, Token
from entitlements.decisions.verdicts import Effect, Issue, Reason, Verdict
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.words import Flow

JITTER: Final = 0.1
"""Lifetimes vary by so much downward, so that what was issued together does not come back together."""
_ATTEMPTS: Final = 3

_CANDIDATES: Final = """
SELECT g.id, array_agg(l.tool_id)
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
_LATEST: Final = """
SELECT id FROM entitlements_session WHERE client_id = %s AND sign_in_sha256 = %s ORDER BY started_at DESC LIMIT 1
"""
_INSERT: Final = """
WITH token AS (
  INSERT INTO entitlements_issuedtoken (jti, kind, system_id, client_id, agent_id, person_id, session_id, scope, parent,
                                        issued_at, expires_at, revoke_reason, trace)
  VALUES (%(jti)s, %(kind)s, %(system)s, %(client)s, %(agent)s, %(person)s, %(session)s, %(scope)s, %(parent)s,
          %(issued)s, %(expires)s, '', %(trace)s)
), touched AS (
  UPDATE entitlements_session SET last_used_at = %(issued)s WHERE id = %(session)s AND ended_at IS NULL
)
INSERT INTO entitlements_tokengrant (token_id, grant_id) SELECT %(jti)s, g FROM unnest(%(grants)s::uuid[]) AS t(g)
"""


class NotIssued(DomainError):
    """The token may not be issued."""

    def __init__(self, verdict: Verdict, links: list[str]) -> None:
        remedy = verdict.remedy
        super().__init__(
            meaning(verdict.code).sentence,
            reasons=[reason.sentence for reason in verdict.reasons],
            remedy=remedy.sentence if remedy else "",
        )
        self.__dict__["code"] = str(verdict.code)  # the word of this refusal, over the one of the class
        self.verdict, self.links = verdict, links

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
    """

    digest: str
    auth_time: datetime | None
    claim: str = "auth_time"


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
    """One token that a client asks for.

    `claim` uses an assertion up, in the transaction that mints; `rule` replaces `decide` where rights are not grants.
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
    redeemed: RedeemedToken | None = None
    claim: Callable[[], None] | None = None
    rule: Rule | None = None
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def lifetime(self) -> float:
        """The seconds to live, a little less each time."""
        return self.seconds * (1 - JITTER * random.random())  # noqa: S311 - it spreads load and keeps no secret

    @property
    def links(self) -> list[str]:
        """How the event of this token, or of its refusal, is found again."""
        person = [f"person:{self.subject.login}"] if self.subject else []
        return [*self.caller.links, *person, f"system:{self.target.slug}"]


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that may now be signed: its row and its event are written."""

    jti: UUID
    scopes: tuple[str, ...]
    issued: int
    expires: int
    session: UUID | None


type Rule = Callable[[TokenRequest, UUID | None, float], Verdict]


class _GrantAppeared(Exception):
    """A grant appeared between choosing the locks and reading the facts."""


def issue(token_request: TokenRequest) -> NewToken:
    """Decide, write and record one token. Raises NotIssued, SessionEnded, and what `token_request.claim` raises.

    Nothing is changed when it raises. The caller signs, in its own time: the row is what makes a token live.
    """
    for _ in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                return _issue(token_request)
        except _GrantAppeared:
            continue
    raise NotIssued(Verdict(Effect.DENY, Code.FEED_UNKNOWN, ()), token_request.links)


def _issue(token_request: TokenRequest) -> NewToken:
    candidates = _candidates(token_request)
    session = _session_of(token_request)
    _lock(token_request, candidates, session)
    if token_request.claim is not None:
        token_request.claim()
    moment = clock.now()
    verdict = (token_request.rule or decide)(token_request, session, moment.timestamp())
    if verdict.issue is None:
        raise NotIssued(verdict, token_request.links)
    if not candidates.keys() >= {UUID(grant) for grant in verdict.issue.grants}:
        raise _GrantAppeared
    if token_request.sign_in is not None and token_request.subject is not None and session is None:
        session = _begin(token_request, token_request.subject, token_request.sign_in, moment)
    return _write(token_request, verdict.issue, session, moment)


def decide(token_request: TokenRequest, session: UUID | None, now: float) -> Verdict:
    """Ask the policy, with facts read now: the rule for every token that stands on grants. Runs after the locks."""
    agent, person, redeemed = token_request.caller.agent or "", token_request.subject, token_request.redeemed
    known = facts.load(
        agent, token_request.target.slug, [(person.login, person.is_active)] if person else [], schemas=False
    )
    if known is None:
        return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, ())
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
        token_request.lifetime,
        token,
        session=str(session) if session else None,
        begins_session=token_request.sign_in is not None and session is None,
    )
    if token_request.target.kind != System.Kind.MCP:  # through our gateway each call is held against the lines
        return policy.may_issue(issuance, known, now)
    verdict = policy.may_issue(issuance, facts.without_narrowed_grants(known, token_request.target.slug), now)
    would_do = verdict.code is Code.NO_GRANT and policy.may_issue(issuance, known, now).issue is not None
    return _narrower(verdict) if would_do else verdict


def _narrower(verdict: Verdict) -> Verdict:
    """Say that what is held gives less than any scope that could be issued for it."""
    code, narrower = Code.GRANT_NARROWER_THAN_SCOPE, meaning(Code.GRANT_NARROWER_THAN_SCOPE)
    remedy = replace(verdict.remedy, next=narrower.next, sentence=narrower.remedy) if verdict.remedy else None
    return replace(verdict, code=code, reasons=(Reason(code, narrower.sentence),), remedy=remedy)


def _held(known: AgentFacts) -> frozenset[str]:
    """Return all scopes: the ceiling of a foreign assertion that names none."""
    return frozenset(line.scope for lines in known.lines.values() for line in lines)


def _candidates(token_request: TokenRequest) -> dict[UUID, list[int]]:
    """Find the grants, with their tools, that the token could stand on: what must be locked."""
    person = token_request.subject.pk if token_request.subject else None
    known = {"agent": token_request.caller.agent_pk, "system": token_request.target.pk, "person": person}
    return dict(prepared.rows(_CANDIDATES, known))


def _session_of(token_request: TokenRequest) -> UUID | None:
    """Return the session that is named, or the latest of this sign-in, ended or not."""
    if token_request.session is not None or token_request.sign_in is None:
        return token_request.session
    row = prepared.row(_LATEST, [token_request.caller.pk, token_request.sign_in.digest])
    return row[0] if row else None


def _lock(token_request: TokenRequest, candidates: dict[UUID, list[int]], session: UUID | None) -> None:
    caller = token_request.caller
    keys: list[locks.Key] = [
        (Lock.EVERYTHING, guardrails.EVERYTHING),
        (Lock.CLIENT, caller.pk),
        (Lock.SYSTEM, token_request.target.pk),
    ]
    if caller.agent_pk is not None:
        keys += [(Lock.AGENT, caller.agent_pk), (Lock.PERSON, caller.sponsor_pk)]
    if token_request.subject is not None:
        keys.append((Lock.PERSON, token_request.subject.pk))
    for grant, tools in candidates.items():
        keys.append((Lock.GRANT, grant))
        keys += [(Lock.TOOL, tool) for tool in tools]
    if session is not None:
        keys.append((Lock.SESSION, session))
    if token_request.redeemed is not None and token_request.redeemed.row is not None:
        keys.append((Lock.TOKEN, token_request.redeemed.row))
    locks.shared(keys)


def _begin(token_request: TokenRequest, subject: Subject, sign_in: SignIn, now: datetime) -> UUID:
    client = Client.objects.select_related("agent").get(pk=token_request.caller.pk)
    person = Person.objects.get(pk=subject.pk)
    begun, _ = sessions.begin(client, person, sign_in.digest, auth_time=sign_in.auth_time, now=now)
    return begun.pk


def _write(token_request: TokenRequest, issued: Issue, session: UUID | None, moment: datetime) -> NewToken:
    jti, caller = uuid4(), token_request.caller
    parent = token_request.redeemed.row if token_request.redeemed else None
    row: dict[str, Any] = {
        "jti": jti,
        "kind": str(token_request.kind),
        "system": token_request.target.pk,
        "client": caller.pk,
        "agent": caller.agent_pk,
        "person": token_request.subject.pk if token_request.subject else None,
        "session": session,
        "scope": scopes.join(issued.scopes),
        "parent": parent,
        "issued": moment,
        "expires": datetime.fromtimestamp(issued.expires, UTC),
        "trace": context.current().trace,
        "grants": [UUID(grant) for grant in issued.grants],
    }
    prepared.rows(_INSERT, row)
    links = [f"token:{jti}", *token_request.links, *(f"grant:{grant}" for grant in issued.grants)]
    links += [f"session:{session}"] if session else []
    links += [f"token:{parent}"] if parent else []
    with context.acting(session=str(session or ""), on_behalf_of=_person(token_request)):
        log.record(Action.TOKEN_ISSUED, by=caller.principal, about=links, detail=_detail(token_request, issued, parent))
    return NewToken(jti, issued.scopes, int(moment.timestamp()), issued.expires, session)


def _detail(token_request: TokenRequest, issued: Issue, parent: UUID | None) -> dict[str, object]:
    return {
        "kind": str(token_request.kind),
        "flow": str(token_request.flow),
        "scope": scopes.join(issued.scopes),
        "left_out": {scope: str(outcome) for scope, outcome in issued.outcomes.items() if scope not in issued.scopes},
        "expires": issued.expires,
        "parent": str(parent) if parent else None,
        **_sign_in(token_request.sign_in),
        **token_request.detail,
    }


def _sign_in(sign_in: SignIn | None) -> dict[str, object]:
    if sign_in is None or sign_in.auth_time is None:
        return {}
    return {"sign_in": {"at": int(sign_in.auth_time.timestamp()), "claim": sign_in.claim}}


def _person(token_request: TokenRequest) -> context.Principal | None:
    return context.Principal("person", token_request.subject.login) if token_request.subject else None
