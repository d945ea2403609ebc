"""A day of two agents, a chain and two people: what they do, done again on another day by the product's own rules."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call, Issuance
from entitlements.decisions.verdicts import Verdict
from entitlements.delegation import permissions
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.words import Flow
from tests import begun, make

SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}, "to": {"type": "string"}}}
SCOPES = {"pay": "erp:pay", "look": "erp:look"}

type Move = Callable[[datetime | timedelta], datetime]


@dataclass(frozen=True, slots=True)
class Run:
    """One session as it is planned: when it begins, how old and how strong its sign-in is then, and its labels."""

    agent: str
    person: str
    begins: timedelta
    signed_in_before: timedelta | None
    acr: str
    amr: str
    labels: tuple[str, ...]
    risk: str


@dataclass(frozen=True, slots=True)
class Step:
    """A token that is asked for, or a call: of a tool, in a run, or for no one by a service."""

    at: timedelta
    run: int | None
    tool: str
    sent: tuple[tuple[str, Any], ...] | None = None
    behind: bool = False


@dataclass
class Day:
    """Agents, people and what they do in one day; `made` names the calls that were allowed when it was recorded."""

    move: Move
    runs: list[Run]
    steps: list[Step]
    clients: dict[str, str] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)

    def record(self, begins: datetime) -> None:
        """Live the day, and record its allowed calls as the gateway does."""
        for number, call, verdict in self._live(begins, records=True):
            if verdict.allowed:
                self.made.append(number)
                _record(call, verdict)

    def again(self, begins: datetime) -> Counter[tuple[str, str, str]]:
        """Live the same day again, and count the denials of the calls that were allowed, by agent, tool and code."""
        return Counter(
            (call.agent, f"erp/{call.tool}", verdict.code.value)
            for number, call, verdict in self._live(begins, records=False)
            if number in self.made and not verdict.allowed
        )

    def _live(self, begins: datetime, *, records: bool) -> Iterator[tuple[int, Call, Verdict]]:
        held: dict[int, UUID] = {}
        for number, step in enumerate(self.steps):
            now = self.move(begins + step.at)
            run = None if step.run is None else self.runs[step.run]
            if step.run is not None and run is not None and step.run not in held:
                self.move(begins + run.begins)
                held[step.run] = self._begin(run)
                self.move(now)
            session = None if step.run is None else held[step.run]
            if step.sent is None:
                assert run is not None
                assert session is not None
                self._use(run, session, SCOPES[step.tool], records=records)
            else:
                call = self._call(step, run, session)
                known = facts.load(call.key, "erp", session=call.session)
                assert known is not None
                yield number, call, policy.decide(call, known, now.timestamp())

    def _begin(self, run: Run) -> UUID:
        client, person, now = Client.objects.get(client_id=self.clients[run.agent]), run.person, clock.now()
        signed_in = None if run.signed_in_before is None else now - run.signed_in_before
        subject = Person.objects.get(login=person)
        session, _ = begun.begin(client, subject, uuid4().hex * 2, auth_time=signed_in, now=now)
        rows = Session.objects.filter(pk=session.pk)
        rows.update(signed_in_at=signed_in, acr=run.acr, amr=run.amr, labels=list(run.labels), risk=run.risk)
        return session.pk

    def _use(self, run: Run, session: UUID, scope: str, *, records: bool) -> None:
        """Ask for a token: where the policy issues it, the session is used, as the statement that mints it does."""
        known = facts.load(run.agent, "erp", session=str(session))
        assert known is not None
        wanted = Issuance(
            Flow.TOKEN_EXCHANGE,
            run.agent,
            self.clients[run.agent],
            run.person,
            "erp",
            frozenset({scope}),
            300.0,
            session=str(session),
        )
        if policy.may_issue(wanted, known, clock.now().timestamp()).issue is None:
            return
        Session.objects.filter(pk=session).update(last_used_at=clock.now())
        if records:
            with context.acting(on_behalf_of=Principal("person", run.person), session=str(session)):
                links = ["system:erp", f"session:{session}", f"client:{self.clients[run.agent]}"]
                log.record(Action.TOKEN_ISSUED, by=Principal("agent", run.agent), about=links, detail={"scope": scope})

    def _call(self, step: Step, run: Run | None, session: UUID | None) -> Call:
        root = "bot-b" if run is None else run.agent
        acting = "bot-c" if step.behind else root
        chain = ((root, self.clients[root]),) if step.behind else ()
        person = None if run is None else run.person
        sid = None if session is None else str(session)
        sent = dict(step.sent or ())
        return Call(acting, self.clients[acting], person, "erp", step.tool, sent, session=sid, chain=chain)


def _record(call: Call, verdict: Verdict) -> None:
    links = [f"client:{call.client}", "system:erp", f"tool:erp/{call.tool}", f"grant:{verdict.grant}"]
    links += [f"agent:{agent}" for agent, _ in call.chain] + [f"grant:{grant}" for grant in verdict.behind]
    detail: dict[str, Any] = {"method": "tools/call", "tool": call.tool, "version": verdict.tool_version}
    if call.chain:
        detail |= {"chain": [agent for agent, _ in call.chain], "chain_clients": [client for _, client in call.chain]}
    if verdict.measured:
        detail["measured"] = verdict.measured
    person = Principal("person", call.person) if call.person else None
    with transaction.atomic(), context.acting(on_behalf_of=person, session=call.session or ""):
        log.record(Action.CALL_ALLOWED, by=Principal("agent", call.agent), about=links, detail=detail)


def plan(move: Move, dice: random.Random, runs: int = 6, steps: int = 8) -> Day:
    """Make agents of three kinds with bounded grants of a risky and a harmless tool, and plan their day."""
    system = make.system("erp")
    pay = make.tool(system, "pay", definition={"name": "pay", "inputSchema": SCHEMA}, action="write", risk="high")
    look = make.tool(system, "look", definition={"name": "look", "inputSchema": SCHEMA}, action="read", risk="low")
    people = [make.person("alice"), make.person("bob")]
    bounds = {"amount": {"max": 1000, "optional": True}}
    entitlements = {each.name: make.entitlement(system, each, scope=SCOPES[each.name]) for each in (pay, look)}
    clients: dict[str, str] = {}
    agents: dict[str, Agent] = {}
    for slug, kind in (("bot-a", "shared"), ("bot-b", "service"), ("bot-c", "shared")):
        agents[slug] = agent = make.agent(slug, kind=kind)
        clients[slug] = make.client(agent, f"client-{slug}")[0].client_id
        for tool in (pay, look):
            entitlement = entitlements[tool.name]
            terms: dict[str, Any] = {"limits": {tool.name: bounds}, "lasts": timedelta(days=30)}
            make.grant(agent, entitlement, people=people, **terms)
            if kind == "service":
                make.grant(agent, entitlement, **terms)
    permissions.permit(agents["bot-a"], actor=agents["bot-c"], by=SYSTEM, reason="They work together.")
    planned = [_run(dice) for _ in range(runs)]
    found = [step for number, run in enumerate(planned) for _ in range(steps) for step in _steps(dice, number, run)]
    alone = [
        Step(timedelta(minutes=dice.randrange(1200)), None, dice.choice(["pay", "look"]), _sent(dice)) for _ in range(6)
    ]
    return Day(move, planned, sorted([*found, *alone], key=lambda step: step.at), clients)


def _run(dice: random.Random) -> Run:
    age = dice.choice([None, *(timedelta(minutes=minutes) for minutes in (0, 2, 60, 600, 3000))])
    return Run(
        dice.choice(["bot-a", "bot-a", "bot-b"]),
        dice.choice(["alice", "bob"]),
        timedelta(minutes=dice.randrange(1000)),
        age,
        dice.choice(["", "phr"]),
        dice.choice(["", "pwd", "pwd mfa"]),
        dice.choice([(), ("pii",)]),
        dice.choice(["low", "low", "high"]),
    )


def _steps(dice: random.Random, number: int, run: Run) -> list[Step]:
    """Ask for a token, and mostly call the tool soon after."""
    at = run.begins + timedelta(minutes=dice.randrange(1, 120), seconds=dice.randrange(60))
    tool = dice.choice(["pay", "look"])
    later, behind = at + timedelta(seconds=dice.randrange(1, 240)), run.agent == "bot-a" and dice.random() < 0.3
    call = Step(later, number, tool, _sent(dice), behind=behind)
    return [Step(at, number, tool), call] if dice.random() < 0.8 else [Step(at, number, tool)]


def _sent(dice: random.Random) -> tuple[tuple[str, Any], ...]:
    sent: list[tuple[str, Any]] = [("amount", dice.randrange(1000))] if dice.random() < 0.8 else []
    return tuple(sent)
