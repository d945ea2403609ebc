"""What follows a signal: carried out in its own transaction, by the actions that people use for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from audit import clock
from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.feed import changes, subjects
from entitlements.people import people
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families

from .rules import Response
from .subject import RiskSubject, ask_to_sign_in


def carry_out(response: Response, subject: RiskSubject, at: datetime, reason: str) -> bool:
    """Carry a response out for a subject that is held; says whether there was anything to do.

    `at` is when it happened what is answered. A review is opened by who reads the audit log for causes. A hold follows
    from the signals that count, as the level does (`subject.set_level`): each of them holds, also where another does.
    """
    return _CARRIED_OUT[response](subject, at, reason)


def _nothing(_subject: RiskSubject, _at: datetime, _reason: str) -> bool:
    return True


def _step_up(subject: RiskSubject, at: datetime, _reason: str) -> bool:
    return ask_to_sign_in(subject, min(at, clock.now()))


def _suspend(subject: RiskSubject, _at: datetime, reason: str) -> bool:
    """Suspend an agent, disable a person; a session, which cannot be taken up again, is ended."""
    if subject.agent is not None and subject.agent.status in (Agent.Status.ACTIVE, Agent.Status.STAGED):
        agents.suspend(subject.agent, by=SYSTEM, reason=reason)
        return True
    if subject.person is not None and subject.person.is_active:
        people.disable(subject.person, by=SYSTEM, reason=reason)
        return True
    return _end_session(subject, reason)


def _revoke(subject: RiskSubject, _at: datetime, reason: str) -> bool:
    """End what goes on: of an agent or a person every session, sign-in and token. What they may do stays."""
    if subject.session is not None:
        return _end_session(subject, reason)
    row = subject.agent or subject.person
    if row is None:
        return False
    whose = subjects.agent(row.pk) if isinstance(row, Agent) else subjects.person(row.pk)
    ended = sessions.end_all_of(Session.objects.filter(**{whose.column: row.pk}), whose, by=SYSTEM, reason=reason)
    ended += families.end_all_of(whose, by=SYSTEM, reason=reason)
    if isinstance(row, Agent):
        row.tokens_valid_after = clock.now()
        row.save(update_fields=["tokens_valid_after"])
    changes.note(whose)
    return isinstance(row, Agent) or bool(ended)


def _end_session(subject: RiskSubject, reason: str) -> bool:
    if subject.session is None or subject.session.ended_at is not None:
        return False
    sessions.end(subject.session.pk, by=SYSTEM, reason=reason)
    return True


_CARRIED_OUT: Final[Mapping[Response, Callable[[RiskSubject, datetime, str], bool]]] = MappingProxyType(
    {
        Response.NOTE: _nothing,
        Response.REVIEW: _nothing,
        Response.STEP_UP: _step_up,
        Response.HOLD: _nothing,
        Response.SUSPEND: _suspend,
        Response.REVOKE: _revoke,
    }
)
