"""What a detector would have found in the last days: the same rules over what is recorded, and nothing is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from audit import clock
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.people.models import Person

from .findings import IN_HISTORY, READ, Finding, in_events
from .history import Window
from .models import AgentHour, SessionNetwork
from .rules import Detector

LONGEST: Final = 90
USUAL: Final = 28
MOST_READ: Final = 20_000
MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """One finding, with the link by which the audit log names whom it is about."""

    at: datetime
    about: str
    reason: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What a detector would have found. `since` is when what it reads begins, which is later than asked for at times.

    `is_cut`: more events than are read at once; the oldest were left out. `shown` are the newest findings.
    """

    detector: Detector
    days: int
    since: datetime
    until: datetime
    findings: int
    subjects: int
    by_day: dict[date, int]
    shown: list[Shown]
    is_cut: bool


def run(detector: Detector, days: int = USUAL) -> Replay:
    """Replay a detector over the last days, with all that is known of agents and people now."""
    until = clock.now()
    since = max(until - timedelta(days=days), _first(detector) or until)
    found, is_cut = _found(detector, since, until)
    once = {each.reference: each for each in reversed(found)}
    newest = sorted(once.values(), key=lambda each: each.at, reverse=True)
    subjects = {(each.agent, each.person, each.session) for each in newest}
    by_day = Counter(each.at.date() for each in newest)
    shown = [*_shown(newest[:MOST_SHOWN])]
    return Replay(detector, days, since, until, len(newest), len(subjects), dict(sorted(by_day.items())), shown, is_cut)


def _found(detector: Detector, since: datetime, until: datetime) -> tuple[list[Finding], bool]:
    if detector.kind in IN_HISTORY:
        return [*IN_HISTORY[detector.kind](Window(since=since, until=until))], False
    rows = Event.objects.filter(action__in=READ[detector.kind], at__gte=since, at__lt=until).order_by("-at", "-uuid")
    events = list(rows[: MOST_READ + 1])
    return [*in_events(reversed(events[:MOST_READ]))], len(events) > MOST_READ


def _first(detector: Detector) -> datetime | None:
    """Return when what a detector reads begins; None where there is nothing."""
    if detector.kind in READ:
        return Event.objects.order_by("at").values_list("at", flat=True).first()
    if detector.name == "network-drift":
        return SessionNetwork.objects.order_by("first_at").values_list("first_at", flat=True).first()
    return AgentHour.objects.order_by("hour").values_list("hour", flat=True).first()


def _shown(found: list[Finding]) -> Iterator[Shown]:
    agents = dict(Agent.objects.filter(pk__in=[each.agent for each in found if each.agent]).values_list("pk", "slug"))
    people = dict(
        Person.objects.filter(pk__in=[each.person for each in found if each.person]).values_list("pk", "login")
    )
    for each in found:
        about = f"session:{each.session}"
        if each.agent is not None:
            about = f"agent:{agents.get(each.agent, '')}"
        elif each.person is not None:
            about = f"person:{people.get(each.person, '')}"
        yield Shown(each.at, about, each.reason)
