"""Verification of a revocation: the calls that it forbids are decided again, on facts read now.

Nothing is sent to any system: the same function decides here as in the gateway, and its answer is shown with its code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.connections import connections
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Token
from entitlements.decisions.verdicts import Verdict
from entitlements.grants.models import Grant, GrantLine
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken

MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Probe:
    """One call that was decided again."""

    call: Call
    sentence: str
    verdict: Verdict


class _Fresh:
    """Facts read now, once for each agent and system."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], AgentFacts | None] = {}

    def of(self, call: Call) -> AgentFacts | None:
        key = (call.agent, call.system)
        if key not in self._read:
            people = Person.objects.filter(login=call.person or "").values_list("login", "is_active")
            self._read[key] = facts.load(call.agent, call.system, list(people))
        return self._read[key]


def probe_revocation(revocation: Revocation) -> list[Probe]:
    """Decide again the calls that a revocation forbids, up to forty."""
    now, fresh = clock.now().timestamp(), _Fresh()
    probes = []
    for call, sentence in _calls(revocation):
        known = fresh.of(call)
        if known is not None:
            probes.append(Probe(call, sentence, policy.reachable(call, known, now)))
    return probes


def probe_grant(grant: Grant) -> list[Probe]:
    """Decide every line of a grant now, for the people it names."""
    now, fresh = clock.now().timestamp(), _Fresh()
    probes = []
    for call, sentence in _of_lines(GrantLine.objects.filter(grant=grant)):
        known = fresh.of(call)
        if known is not None:
            probes.append(Probe(call, sentence, policy.reachable(call, known, now)))
    return probes


def _calls(revocation: Revocation) -> Iterator[tuple[Call, str]]:
    key = revocation.target_id
    match revocation.target_type:
        case "session":
            yield from _of_session(UUID(key))
        case "token":
            yield from _of_token(UUID(key))
        case kind:
            yield from _of_lines(GrantLine.objects.filter(_concerned(kind, key)))


def _concerned(kind: str, key: str) -> Q:
    """Select the grant lines that a revocation of this kind concerns."""
    system, _slash, tool = key.partition("/")
    return {
        "grant": Q(grant_id=key) if kind == "grant" else Q(),
        "agent": Q(grant__agent__slug=key),
        "client": Q(grant__agent__clients__client_id=key) | Q(grant__agent__connections__client__client_id=key),
        "person": Q(grant__subjects__person__login=key) | Q(grant__agent__sponsor__login=key),
        "system": Q(tool__system__slug=key),
        "tool": Q(tool__system__slug=system, tool__name=tool),
        "everything": Q(grant__ended_at=None),
    }[kind]


def _of_lines(
    lines: QuerySet[GrantLine], token: Token | None = None, session: str | None = None
) -> Iterator[tuple[Call, str]]:
    rows = lines.select_related("grant__agent", "tool__system").prefetch_related(
        "grant__agent__clients", "grant__subjects__person", "grant__subjects__group__people"
    )
    for line in rows.order_by("-grant__created_at", "tool__name").distinct()[:MOST]:
        grant = line.grant
        client = next((each.client_id for each in grant.agent.clients.all()), "") or _connected(grant.agent)
        for person in _people(grant)[:1]:
            call = Call(grant.agent.slug, client, person, line.tool.system.slug, line.tool.name, {}, token, session)
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


def _of_session(sid: UUID) -> Iterator[tuple[Call, str]]:
    session = Session.objects.select_related("agent", "person", "client").filter(pk=sid).first()
    if session is None:
        return
    lines = GrantLine.objects.filter(grant__agent=session.agent, grant__ended_at=None)
    for call, sentence in _of_lines(lines, session=str(sid)):
        call.client, call.person = session.client.client_id, session.person.login if session.person else None
        yield call, sentence


def _of_token(jti: UUID) -> Iterator[tuple[Call, str]]:
    row = IssuedToken.objects.select_related("person", "client", "session").filter(pk=jti).first()
    if row is None:
        return
    token = Token(str(jti), row.issued_at.timestamp(), row.expires_at.timestamp(), frozenset(row.scope.split()))
    lines = GrantLine.objects.filter(grant__tokens__token=row)
    for call, sentence in _of_lines(lines, token, str(row.session_id) if row.session_id else None):
        call.client, call.person = row.client.client_id, row.person.login if row.person else None
        yield call, sentence
