"""Reading the audit log for drift, in the order of the sealed events, and noting what is found as risk signals.

What is found has a reference that names it, so that a reader which was cut off reads again without harm. Nothing of it
lies on the way of a request: nodes learn of what follows as they learn of every risk signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from audit import clock, stream
from audit.models import Leaf
from entitlements.agents.models import Agent
from entitlements.errors import NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Key, Lock
from entitlements.people.models import Person
from entitlements.risk import risk
from entitlements.risk.risk import NewSignal
from entitlements.risk.rules import Policy
from entitlements.risk.subject import RiskSubject, sessions

from . import answers, history
from .findings import IN_HISTORY, READ, Finding, in_events
from .rules import WINDOW

CURSOR: Final = "drift-detectors"
AT_ONCE: Final = 1000
NOTED_WITHIN: Final = timedelta(days=1)
"""What is read later than this after it happened, as after an upgrade, is history and no signal."""
_READ: Final = sorted({action for actions in READ.values() for action in actions})


def listen(limit: int = AT_ONCE) -> int:
    """Add the next sealed events up, and note what they tell of; says how many were passed."""
    stream.begin(CURSOR, _first_leaf)
    with stream.consume(CURSOR, limit) as leaves:
        if leaves:
            changed = history.add(leaves)
            window = history.Window(hours=changed.hours, networks=changed.networks)
            found = [*in_events(each.event for each in stream.events(leaves, _READ))]
            found += [each for find in IN_HISTORY.values() for each in find(window)]
            since = clock.now() - NOTED_WITHIN
            note([each for each in found if each.at >= since])
    return len(leaves)


def _first_leaf() -> int:
    """Return the first leaf of the window, so that agents have a history from the start.

    Leaves lie in the order of time, but for what overlapped.
    """
    since, low, high = clock.now() - WINDOW, 0, stream.end()
    while low < high:
        middle = (low + high) // 2
        at = Leaf.objects.filter(index=middle).values_list("at", flat=True).first()
        low, high = (middle + 1, high) if at is None or at < since else (low, middle)
    return low


def note(found: list[Finding]) -> None:
    """Note what was found, holding everybody it is about in the order in which everybody does."""
    agents = Agent.objects.in_bulk({each.agent for each in found if each.agent is not None})
    people = Person.objects.in_bulk({each.person for each in found if each.person is not None})
    known = sessions().filter(pk__in={each.session for each in found if each.session is not None})
    of_sessions = {row.pk: row for row in known}
    subjects = [
        (each, RiskSubject(agents.get(each.agent), people.get(each.person), of_sessions.get(each.session)))
        for each in found
    ]
    subjects = [(each, subject) for each, subject in subjects if subject.about]
    answered = [
        (each, about, policy) for each, subject in subjects for about, policy in answers.of(each.detector.kind, subject)
    ]
    locks.exclusive(*_keys(subject for _, subject, _ in answered))
    for each, about, policy in answered:
        try:
            risk.note(about, _signal(each, about, policy))
        except NotFound:
            continue


def _signal(found: Finding, about: RiskSubject, policy: Policy) -> NewSignal:
    """Return what is noted, at the end of what was found, so that who signed in meanwhile is asked again."""
    detector, reference = found.detector, found.reference
    if about.session is not None and found.session is None:
        reference = f"{reference}:{about.session.pk}"
    at = min(found.at + found.lasts, clock.now())
    return NewSignal(detector.kind, detector.level, detector.source, found.reason, at, reference, answer=policy)


def _keys(subjects: Iterable[RiskSubject]) -> list[Key]:
    keys: list[Key] = []
    for subject in subjects:
        session = subject.session
        agent = subject.agent.pk if subject.agent is not None else session.agent_id if session is not None else None
        person = subject.person.pk if subject.person is not None else session.person_id if session is not None else None
        keys += [(Lock.AGENT, agent)] if agent is not None else []
        keys += [(Lock.PERSON, person)] if person is not None else []
        keys += [(Lock.SESSION, session.pk)] if session is not None else []
    return keys
