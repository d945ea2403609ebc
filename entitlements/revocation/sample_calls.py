"""Calls that a stop forbids, or a grant allows: named as a gateway would decide them, and decided here on facts of now.

Nothing is sent to any system: the same function decides here as in the gateway, and its answer is shown with its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.connections import connections
from entitlements.decisions import facts, policy
from entitlements.decisions.guardrails import EVERYTHING
from entitlements.decisions.snapshot import AgentFacts, Call, Token
from entitlements.decisions.verdicts import Verdict
from entitlements.grants.models import Grant, GrantLine
from entitlements.people.models import Person
from entitlements.revocation import effects
from entitlements.revocation.models import Revocation
from entitlements.revocation.targets import PERSON_AGENTS, SIGN_INS, Target, agents_of
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken

MOST: Final = 40
"""Lines of a grant that are decided."""
MOST_SAMPLED: Final = 5
"""Calls of a stop that are sampled."""
_MOST_TOKENS: Final = 50
_LIVES: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DecidedCall:
    """One call that was decided."""

    call: Call
    sentence: str
    verdict: Verdict


def decide_grant(grant: Grant) -> list[DecidedCall]:
    """Decide every line of a grant now, for the people it names."""
    now, known = clock.now().timestamp(), dict[tuple[str, str], AgentFacts | None]()
    decided = []
    for call, sentence in _of_lines(GrantLine.objects.filter(grant=grant)):
        key = (call.agent, call.system)
        if key not in known:
            people = Person.objects.filter(login=call.person or "").values_list("login", "is_active")
            known[key] = facts.load(call.agent, call.system, list(people))
        if (held := known[key]) is not None:
            decided.append(DecidedCall(call, sentence, policy.reachable(call, held, now)))
    return decided


def forbidden_by(stop: Revocation) -> list[Call]:
    """Return up to MOST_SAMPLED calls that a stop forbids: with tokens that it reached, and then without any.

    A token that has expired is taken as if it lived, so that its refusal is that of the stop. Tokens of a delegation
    chain are left out: no row tells by which client each agent behind it acted.
    """
    target = Target(stop.target_type, stop.target_id)
    found: dict[tuple[object, ...], Call] = {}
    for call in (*_with_tokens(stop, target), *_without_token(target)):
        found.setdefault((call.agent, call.system, call.token is None, call.client), call)
        if len(found) == MOST_SAMPLED:
            break
    return list(found.values())


def _with_tokens(stop: Revocation, target: Target) -> Iterator[Call]:
    rows = IssuedToken.objects.filter(
        effects.tokens_of(target), kind=IssuedToken.Kind.ACCESS_TOKEN, issued_at__lte=stop.committed_at, chain=[]
    )
    for row in rows.select_related("person", "client", "agent").order_by("-issued_at")[:_MOST_TOKENS]:
        if row.agent is None:
            continue
        expires = max(row.expires_at, clock.now() + _LIVES)
        token = Token(str(row.pk), row.issued_at.timestamp(), expires.timestamp(), frozenset(), covers_all=True)
        lines = GrantLine.objects.filter(grant__tokens__token=row)
        for call, _sentence in _of_lines(lines, session=str(row.session_id) if row.session_id else None):
            call.agent, call.client, call.token = row.agent.slug, row.client.client_id, token
            call.person = row.person.login if row.person else None
            yield call


def _without_token(target: Target) -> Iterator[Call]:
    if target.type in ("token", "token_family", SIGN_INS):  # access is kept, so such a call may pass
        return
    if target.type == "session":
        yield from _of_session(UUID(target.id))
        return
    for call, _sentence in _of_lines(GrantLine.objects.filter(_concerned(target)), person=_person_of(target)):
        if target.type == "client":
            call.client = target.id
        yield call


def _concerned(target: Target) -> Q:
    """Select the grant lines that a stop of this kind concerns."""
    key = target.id
    system, _slash, tool = key.partition("/")
    named = Q(grant__subjects__person__login=key) | Q(grant__subjects__group__people__login=key)
    return {
        "grant": Q(grant_id=key) if target.type == "grant" else Q(),
        "agent": Q(grant__agent__slug=key),
        "client": Q(grant__agent__clients__client_id=key) | Q(grant__agent__connections__client__client_id=key),
        "person": named | Q(grant__agent__sponsor__login=key),
        PERSON_AGENTS: named | Q(grant__agent__in=Agent.objects.filter(agents_of(key)).values("pk")),
        "system": Q(tool__system__slug=key),
        "tool": Q(tool__system__slug=system, tool__name=tool),
        EVERYTHING: Q(grant__ended_at=None),
    }[target.type]


def _person_of(target: Target) -> str:
    return target.id if target.type in ("person", PERSON_AGENTS) else ""


def _of_lines(lines: QuerySet[GrantLine], session: str | None = None, person: str = "") -> Iterator[tuple[Call, str]]:
    """Yield a call of each line, by the person where the grant names them, else by the first that it names."""
    rows = lines.select_related("grant__agent", "tool__system").prefetch_related(
        "grant__agent__clients", "grant__subjects__person", "grant__subjects__group__people"
    )
    for line in rows.order_by("-grant__created_at", "tool__name").distinct()[:MOST]:
        grant = line.grant
        client = next((each.client_id for each in grant.agent.clients.all()), "") or _connected(grant.agent)
        named = _people(grant)
        by = person if person in named else named[0]
        call = Call(grant.agent.slug, client, by, line.tool.system.slug, line.tool.name, {}, None, session)
        yield call, line.tool.sentence


def _connected(agent: Agent) -> str:
    """Return the client of an agent without any of its own, by its open connection; empty without one."""
    return connections.clients_of(agent).values_list("client_id", flat=True).first() or ""


def _people(grant: Grant) -> list[str | None]:
    named: list[str | None] = []
    for subject in grant.subjects.all():
        if subject.person:
            named.append(subject.person.login)
        elif subject.group:
            named.extend(person.login for person in subject.group.people.all())
    return named or [None]


def _of_session(sid: UUID) -> Iterator[Call]:
    session = Session.objects.select_related("agent", "person", "client").filter(pk=sid).first()
    if session is None:
        return
    lines = GrantLine.objects.filter(grant__agent=session.agent, grant__ended_at=None)
    for call, _sentence in _of_lines(lines, session=str(sid)):
        call.client, call.person = session.client.client_id, session.person.login if session.person else None
        yield call
