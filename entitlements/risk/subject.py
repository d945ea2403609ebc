"""Whom a risk level is about: an agent, a person, or a session of an agent, held while it changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from entitlements.agents.models import Agent
from entitlements.errors import NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Key, Lock
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.strict import known_uuid
from entitlements.words import Risk

from .models import RiskSignal
from .rules import CountedSignal, Response, Verdict, is_held, level_of


@dataclass(frozen=True, slots=True)
class RiskSubject:
    """One of three; the other two are None."""

    agent: Agent | None = None
    person: Person | None = None
    session: Session | None = None

    @property
    def about(self) -> list[str]:
        """The links by which the audit log finds what happened to it."""
        if self.session is not None:
            person = [f"person:{self.session.person.login}"] if self.session.person else []
            return [f"session:{self.session.pk}", f"agent:{self.session.agent.slug}", *person]
        if self.agent is not None:
            return [f"agent:{self.agent.slug}"]
        return [f"person:{self.person.login}"] if self.person is not None else []

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that name it in a row of its history."""
        return {"agent": self.agent, "person": self.person, "session": self.session}

    @property
    def level(self) -> Risk:
        """The level that stands on its row."""
        if self.session is not None:
            return Risk(self.session.risk)
        row = self.agent or self.person
        return Risk(row.risk_level) if row is not None else Risk.LOW


def named(link: str) -> RiskSubject:
    """Return who is named as `agent:<slug>`, `person:<login>` or `session:<id>`. Raises NotFound."""
    kind, _colon, name = link.partition(":")
    found: Agent | Person | Session | None = None
    if kind == "agent" and (found := Agent.objects.filter(slug=name).first()):
        return RiskSubject(agent=found)
    if kind == "person" and (found := Person.objects.filter(login=name).first()):
        return RiskSubject(person=found)
    if kind == "session" and known_uuid(name) and (found := sessions().filter(pk=name).first()):
        return RiskSubject(session=found)
    raise NotFound


def of(signal: RiskSignal) -> RiskSubject:
    """Return whom a signal is about."""
    session = sessions().get(pk=signal.session_id) if signal.session_id else None
    return RiskSubject(signal.agent, signal.person, session)


def sessions() -> Any:  # noqa: ANN401 - a query set of sessions
    """Return sessions with whom they name."""
    return Session.objects.select_related("agent", "person")


def hold(subject: RiskSubject) -> RiskSubject:
    """Hold it alone until the transaction ends, with its agent and person if it is a session; returns it as it is now.

    Raises NotFound.
    """
    session = subject.session
    agent = session.agent_id if session is not None else subject.agent.pk if subject.agent else None
    person = session.person_id if session is not None else subject.person.pk if subject.person else None
    keys: list[Key] = [(Lock.AGENT, agent)] if agent is not None else []
    keys += [(Lock.PERSON, person)] if person is not None else []
    keys += [(Lock.SESSION, session.pk)] if session is not None else []
    locks.exclusive(*keys)
    if session is not None:
        return RiskSubject(session=_there(sessions().filter(pk=session.pk).first()))
    if agent is not None:
        return RiskSubject(agent=_there(Agent.objects.filter(pk=agent).first()))
    return RiskSubject(person=_there(Person.objects.filter(pk=person).first() if person is not None else None))


def _there[R](row: R | None) -> R:
    if row is None:
        raise NotFound
    return row


def history(subject: RiskSubject) -> list[CountedSignal]:
    """Return the signals about it, as its level is worked out from them."""
    columns = {name: row for name, row in subject.columns.items() if row is not None}
    rows = RiskSignal.objects.filter(**columns).select_related("decision")
    return [counted(row) for row in rows]


def counted(row: RiskSignal) -> CountedSignal:
    """Return a signal as the rule takes it."""
    decision = row.decision if hasattr(row, "decision") else None
    verdict = Verdict(decision.verdict) if decision is not None else None
    holds = row.response == Response.HOLD and row.outcome == RiskSignal.Outcome.DONE
    decided = decision.at if decision else None
    return CountedSignal(row.kind, row.source, Risk(row.level), row.noted_at, verdict, decided, holds)


def set_level(subject: RiskSubject, signals: list[CountedSignal]) -> Risk:
    """Write the level that signals give and whether they hold calls; tell the nodes if either is new.

    The caller holds the subject.
    """
    level, held = level_of(signals), is_held(signals)
    row = subject.session or subject.agent or subject.person
    if row is None or (level, held) == (subject.level, row.held_by_risk):
        return level
    column = "risk" if isinstance(row, Session) else "risk_level"
    setattr(row, column, level.value)
    row.held_by_risk = held
    row.save(update_fields=[column, "held_by_risk"])
    note(subject)
    return level


def note(subject: RiskSubject) -> None:
    """Tell the nodes that what they read of the subject changed: of a person also every agent with a session of theirs.

    A session is named beside its agent: a change of a session alone means that it ended.
    """
    if subject.session is not None:
        changes.note(subjects.agent(subject.session.agent_id), of=[subjects.session(subject.session.pk)])
    elif subject.agent is not None:
        changes.note(subjects.agent(subject.agent.pk))
    elif subject.person is not None:
        person = subjects.person(subject.person.pk)
        rows = Session.objects.filter(person=subject.person, ended_at=None)
        agents = {subjects.agent(pk) for pk in rows.values_list("agent_id", flat=True)}
        if agents:
            changes.note_many([person], of=agents)
        else:
            changes.note(person)


def ask_to_sign_in(subject: RiskSubject, since: datetime) -> bool:
    """Let no sign-in before this moment count any more; says whether that changed anything. The caller holds it.

    Of a session that is its person: a new session of the same sign-in would be no answer.
    """
    row = subject.session.person if subject.session is not None else subject.agent or subject.person
    if row is None or (row.sign_in_required_after is not None and row.sign_in_required_after >= since):
        return False
    row.sign_in_required_after = since
    row.save(update_fields=["sign_in_required_after"])
    note(RiskSubject(person=row) if isinstance(row, Person) else RiskSubject(agent=row))
    return True
