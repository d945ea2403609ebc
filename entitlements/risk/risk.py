"""Actions on risk: note a signal, with what follows it; and what a person decides about one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.conflicts import independence
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person, Role
from entitlements.words import Risk

from . import response_policy, responses
from .models import RiskDecision, RiskSignal
from .rules import CountedSignal, Kind, Mode, Policy, Response, Verdict, level_of
from .subject import RiskSubject, counted, history, hold, of, set_level

_LONGEST = 500
_DISABLES: Final = Policy(Response.SUSPEND, Mode.ENFORCE)
_DISABLED_AN_HOUR: Final = 3
"""How many people the signals of one source disable within an hour."""
_ADMINS_LEFT: Final = 2
"""How many other platform admins there are where a signal disables one: what needs two of them goes on."""


class RiskDecided(DomainError):
    """A decision about this signal was made before."""

    code, status = "risk_decided", HTTPStatus.CONFLICT


class OwnRisk(DomainError):
    """You cannot call your own account or agent safe. Another person decides about this signal."""

    code, status = "risk_of_own_account", HTTPStatus.FORBIDDEN


@dataclass(frozen=True, slots=True)
class NewSignal:
    """What a signal says, and where it came from; `improves` is said of what is only noted.

    `answer` is how it is answered, where that is not its kind's response alone.
    What follows one that is `confidential` does not say why: the owner of an agent reads it.
    """

    kind: Kind
    level: Risk
    source: str
    reason: str
    at: datetime
    reference: str
    improves: bool = False
    answer: Policy | None = None
    confidential: bool = False


@transaction.atomic
def note(subject: RiskSubject, new: NewSignal, *, by: Principal = SYSTEM) -> RiskSignal | None:
    """Note a signal about a subject, set its level, and answer it as its kind's policy says.

    Where it would disable a person and no person said so, it may hold their agents instead. None where it was noted
    before, by its `reference`. Raises NotFound.
    """
    policy = new.answer or response_policy.current(new.kind)
    if new.improves:
        policy = Policy(Response.NOTE, policy.mode)
    if by == SYSTEM and subject.person is not None and policy == _DISABLES:
        locks.exclusive((Lock.PERSON, "signals"))  # so that two signals at once do not each spare the other's
        if _needs_a_person(subject.person, new.source):
            policy = Policy(Response.HOLD, Mode.ENFORCE)
    held = hold(subject)
    if RiskSignal.objects.filter(reference=new.reference).exists():
        return None
    now, before = clock.now(), held.level
    outcome = _outcome(policy)
    reason = new.reason[:_LONGEST]
    said = "A risk signal." if new.confidential else f"A risk signal: {reason}"[:_LONGEST]
    if outcome is RiskSignal.Outcome.DONE and not responses.carry_out(policy.response, held, new.at, said):
        outcome = RiskSignal.Outcome.NOTHING
    level = level_of([*history(held), CountedSignal(new.kind, new.source, new.level, now)])
    signal = RiskSignal.objects.create(
        **held.columns,
        kind=new.kind,
        level=new.level,
        subject_level=level,
        source=new.source,
        reason=reason,
        at=new.at,
        noted_at=now,
        response=policy.response,
        mode=policy.mode,
        outcome=outcome,
        reference=new.reference,
    )
    set_level(hold(held), history(held))
    log.record(Action.RISK_SIGNALLED, about=_about(signal, held), by=by, reason=reason, detail=_detail(signal, before))
    return signal


def _needs_a_person(person: Person, source: str) -> bool:
    """Whether a person, and no signal, disables this one: the source did so to several, or few administrators are left.

    Their agents are held until that person confirms the compromise, or dismisses the signal.
    """
    done = RiskSignal.objects.filter(source=source, response=Response.SUSPEND, outcome=RiskSignal.Outcome.DONE)
    if done.filter(person__isnull=False, noted_at__gt=clock.now() - timedelta(hours=1)).count() >= _DISABLED_AN_HOUR:
        return True
    admins = Person.objects.holding(Role.ADMIN)
    return admins.filter(pk=person.pk).exists() and admins.exclude(pk=person.pk).count() < _ADMINS_LEFT


def _outcome(policy: Policy) -> RiskSignal.Outcome:
    if policy.response is Response.NOTE:
        return RiskSignal.Outcome.NOTED
    return RiskSignal.Outcome.OBSERVED if policy.mode is Mode.OBSERVE else RiskSignal.Outcome.DONE


def confirm_compromised(key: UUID, *, by: Person, reason: str) -> RiskSignal:
    """Say that the subject is compromised: its level is high, and what the policy answers that with follows.

    Raises NotFound, ReasonRequired, RiskDecided, OwnRisk.
    """
    with transaction.atomic():
        signal, subject = _decide(key, Verdict.COMPROMISED, Action.RISK_CONFIRMED_COMPROMISED, by=by, reason=reason)
        new = NewSignal(
            Kind.CONFIRMED_COMPROMISE, Risk.HIGH, str(by.principal), reason, clock.now(), f"decision:{signal.pk}"
        )
        note(subject, new, by=by.principal)
    return signal


@transaction.atomic
def confirm_safe(key: UUID, *, by: Person, reason: str) -> RiskSignal:
    """Say that the subject is safe: no signal that was noted until now counts any more.

    What a response did stays: another person enables or restores what was suspended. A hold ends with its signal.
    Raises as `confirm_compromised`.
    """
    return _decide(key, Verdict.SAFE, Action.RISK_CONFIRMED_SAFE, by=by, reason=reason)[0]


@transaction.atomic
def dismiss(key: UUID, *, by: Person, reason: str) -> RiskSignal:
    """Say that one signal means nothing: it counts no more, and the others do. Raises as `confirm_compromised`."""
    return _decide(key, Verdict.DISMISSED, Action.RISK_DISMISSED, by=by, reason=reason)[0]


def _decide(key: UUID, verdict: Verdict, action: Action, *, by: Person, reason: str) -> tuple[RiskSignal, RiskSubject]:
    if not reason.strip():
        raise ReasonRequired
    signal = RiskSignal.objects.select_related("agent", "person").filter(pk=key).first()
    if signal is None:
        raise NotFound
    subject = hold(of(signal))
    if verdict is not Verdict.COMPROMISED and any(independence.same_human(one, by) for one in _own(subject)):
        raise OwnRisk
    if RiskDecision.objects.filter(signal=signal).exists():
        raise RiskDecided
    now, before = clock.now(), subject.level
    known = counted(signal)
    others = [each for each in history(subject) if each != known]
    level = level_of([*others, replace(known, verdict=verdict, decided=now)])
    RiskDecision.objects.create(signal=signal, verdict=verdict, by=by, reason=reason, at=now, subject_level=level)
    set_level(subject, history(subject))
    detail = {"signal": str(signal.pk), "kind": signal.kind, "level": level.value, "previous_level": before.value}
    log.record(action, about=_about(signal, subject), by=by.principal, reason=reason, detail=detail)
    return RiskSignal.objects.select_related("agent", "person", "session", "decision__by").get(pk=key), subject


def _own(subject: RiskSubject) -> list[Person]:
    """Return whose subject it is: the person themselves, and who answers for the agent."""
    agent = subject.session.agent if subject.session is not None else subject.agent
    people = [subject.person, subject.session.person if subject.session is not None else None]
    people += [agent.sponsor, agent.owner] if agent is not None else []
    return [person for person in people if person is not None]


def about(signal: RiskSignal) -> list[str]:
    """Return the links by which the record of a signal is found again."""
    return [f"risk:{signal.pk}", signal.about]


def _about(signal: RiskSignal, subject: RiskSubject) -> list[str]:
    return [f"risk:{signal.pk}", *subject.about]


def _detail(signal: RiskSignal, before: Risk) -> dict[str, object]:
    names = ("kind", "level", "subject_level", "source", "response", "mode", "outcome")
    return {
        "signal": str(signal.pk),
        "at": signal.at.isoformat(),
        "previous_level": before.value,
        **{name: str(getattr(signal, name)) for name in names},
    }
