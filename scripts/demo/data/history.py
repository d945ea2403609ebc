"""What the planted access was used for: thirteen weeks of sign-ins, tokens and calls, as the record would hold them.

Each call is decided by the product's own decision point on the facts of its agent, and recorded in the gateway's own
words; rows and events are written by the hundred. Only the calling clients are missing: they did not exist yet.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched, cycle
from typing import Any, Final
from uuid import uuid4

from django.db import connection, transaction

from audit import clock, context, draft, producers, statements
from audit.actions import Action
from audit.draft import TextDraft
from entitlements.clients.models import Client
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Token
from entitlements.grants.models import Grant
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.sessions.sessions import ABSOLUTE
from entitlements.tokens.models import IssuedToken, TokenGrant
from entitlements.traces import call_trace
from scripts.demo.data.company import GrantSpec

WEEKS: Final = 13
LIFE: Final = timedelta(seconds=300)
_AT_ONCE: Final = 2000


@dataclass
class WrittenUse:
    """Rows and events that wait to be written."""

    sessions: list[Session] = field(default_factory=list)
    tokens: list[IssuedToken] = field(default_factory=list)
    stands_on: list[TokenGrant] = field(default_factory=list)
    drafts: list[draft.Draft | TextDraft] = field(default_factory=list)

    @transaction.atomic
    def flush(self) -> int:
        """Write them in a fixed number of statements; says how many events that took."""
        Session.objects.bulk_create(self.sessions)
        IssuedToken.objects.bulk_create(self.tokens)
        TokenGrant.objects.bulk_create(self.stands_on)
        self.drafts.sort(key=lambda event: event.moment)
        for batch in batched(self.drafts, _AT_ONCE):
            with (
                producers.numbers(connection, len(batch), datetime.fromisoformat(batch[0].moment)) as (producer, first),
                connection.cursor() as cursor,
            ):
                cursor.execute(statements.INSERT_MANY, statements.columns(list(batch), producer, first))
        return len(self.drafts)


@dataclass(frozen=True)
class GrantUser:
    """One agent under one of its grants, as the decision point and the record see it."""

    grant: Grant
    client: Client
    facts: AgentFacts
    people: tuple[Person | None, ...]
    arguments: dict[str, Any]

    @classmethod
    def of(cls, grant: Grant, arguments: dict[str, Any]) -> GrantUser:
        """Read it; a group is its members."""
        agent_facts = facts.load(grant.agent.slug, grant.entitlement.system.slug)
        assert agent_facts is not None
        people: dict[int, Person] = {}
        for subject in grant.subjects.all():
            members = [subject.person] if subject.person else list(subject.group.people.order_by("login"))  # type: ignore[union-attr]
            people |= {member.pk: member for member in members}
        client = Client.objects.filter(agent=grant.agent).order_by("pk").first()
        assert client is not None
        return cls(grant, client, agent_facts, tuple(people.values()) or (None,), arguments)


def write(used: Iterable[tuple[GrantSpec, Grant, dict[str, Any]]], beyond: tuple[str, str, int] | None = None) -> int:
    """Write the use of some grants, and of `beyond`, the calls of one agent's tool that no grant covers."""
    written, now = WrittenUse(), clock.now()
    for spec, grant, arguments in used:
        holder = GrantUser.of(grant, arguments)
        extra = {beyond[1]: beyond[2]} if beyond and beyond[0] == spec.agent else {}
        for week, moment in _moments(grant, now):
            person = holder.people[week % len(holder.people)]
            tools = [name for name, often in spec.used.items() for _ in range(_often(often, week, name))]
            tools += [name for name, often in extra.items() for _ in range(-(-often // WEEKS))]
            _run(written, holder, person, moment, tools)
    clock.forget()
    return written.flush()


def _moments(grant: Grant, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield the runs of an agent: one a week, in working hours, while its grant was in force."""
    number = int(hashlib.sha256(f"{grant.agent.slug} {grant.entitlement.scope}".encode()).hexdigest()[:6], 16)
    last = min(now - timedelta(hours=2), grant.expires_at - LIFE)
    first = max(grant.starts_at + timedelta(minutes=5), now - timedelta(weeks=WEEKS))
    moment, week = last - timedelta(hours=number % 60, minutes=number % 47), 0
    while moment >= first and week < WEEKS:
        yield week, moment
        week, moment = week + 1, moment - timedelta(days=7, minutes=number % 13)
    if not week and first < last:
        yield 0, first


def _often(usual: int, week: int, tool: str) -> int:
    """Vary a number a little from week to week, always in the same way."""
    return max(1, usual + random.Random(f"{week} {tool}").choice((-1, 0, 0, 1, 2)))  # noqa: S311 - a picture


def _run(written: WrittenUse, holder: GrantUser, person: Person | None, moment: datetime, tools: list[str]) -> None:
    """Sign in, get a token, call each tool within its life."""
    grant, agent, trace = holder.grant, holder.grant.agent, uuid4().hex
    scope, system = grant.entitlement.scope, grant.entitlement.system
    session = _session(holder, person, moment) if person else None
    token = IssuedToken(
        jti=uuid4(),
        kind=IssuedToken.Kind.ACCESS_TOKEN,
        system=system,
        client=holder.client,
        agent=agent,
        person=person,
        session=session,
        scope=scope,
        issued_at=moment,
        expires_at=moment + LIFE,
        trace=trace,
    )
    written.tokens.append(token)
    written.stands_on.append(TokenGrant(token=token, grant=grant))
    clock.set_offset(moment)
    about = [f"client:{holder.client.client_id}", f"agent:{agent.slug}", f"system:{system.slug}"]
    with context.acting(trace=trace, on_behalf_of=person.principal if person else None):
        if session and person:
            written.sessions.append(session)
            links = [f"session:{session.pk}", f"agent:{agent.slug}", f"person:{person.login}", about[0]]
            written.drafts.append(draft.draft(Action.SESSION_BEGUN, by=agent.principal, about=links))
    with context.acting(
        trace=trace, on_behalf_of=person.principal if person else None, session=str(session.pk) if session else ""
    ):
        links = [*about, f"token:{token.jti}", f"grant:{grant.pk}", *([f"session:{session.pk}"] if session else [])]
        detail = _of_token(token, "jwt_bearer" if person else "client_credentials")
        written.drafts.append(draft.draft(Action.TOKEN_ISSUED, by=agent.principal, about=links, detail=detail))
    bearer = Bearer(
        system.slug,
        Token(str(token.jti), moment.timestamp(), (moment + LIFE).timestamp(), frozenset({scope})),
        agent.slug,
        holder.client.client_id,
        person.login if person else None,
        str(session.pk) if session else None,
    )
    apart = (LIFE - timedelta(seconds=20)) / max(1, len(tools))
    for number, tool in enumerate(tools):
        written.drafts += _call(holder, bearer, tool, moment + apart * number + timedelta(seconds=3), trace)


def _session(holder: GrantUser, person: Person, moment: datetime) -> Session:
    return Session(
        agent=holder.grant.agent,
        client=holder.client,
        person=person,
        sign_in_sha256=hashlib.sha256(f"{person.login} {moment} {holder.grant.pk}".encode()).hexdigest(),
        started_at=moment,
        last_used_at=moment + LIFE,
        expires_at=moment + ABSOLUTE,
        auth_time=moment,
    )


def _of_token(token: IssuedToken, flow: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": str(token.kind),
        "flow": flow,
        "scope": token.scope,
        "left_out": {},
        "parent": None,
    }
    return {**values, "expires": int(token.expires_at.timestamp())}


_WAITS: Final = cycle((38, 61, 44, 120, 52, 75, 47))


def _call(holder: GrantUser, bearer: Bearer, tool: str, moment: datetime, trace: str) -> Iterator[TextDraft]:
    """Decide one call, and tell of it as the gateway does: the decision, and how an allowed call ended."""
    call = Call(bearer.agent, bearer.client, bearer.person, bearer.resource, tool, holder.arguments)
    verdict = policy.decide(call, holder.facts, moment.timestamp())
    about = records.CallDetails(bearer, bearer.resource, "tools/call", tool, traced=call_trace.begin(None, (), trace))
    clock.set_offset(moment)
    yield records.decision(about, verdict, holder.arguments)
    if verdict.allowed:
        took = next(_WAITS)
        clock.set_offset(moment + timedelta(milliseconds=took))
        detail: dict[str, int | str] = {"bytes": 300 + took, "milliseconds": took}
        yield records.ending(about, Action.CALL_FINISHED, "success", "", detail)
