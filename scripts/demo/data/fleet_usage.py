"""How a fleet worked in the last weeks, and what the detectors of drift would have said: a measure of false alarms.

    python -m scripts.demo.data.fleet_usage

This history holds no misuse, so each finding of a detector is a false alarm. Four in ten agents work in office
hours with their people, three at fixed hours by night, two all day and night, and one now and then. On one day of fifty
an agent has up to three times its work; on one of a hundred its people work in the evening or at a weekend. One session
in twelve moves to another network while it lasts, since its person goes home or travels. One agent in twenty is given a
new class of tools. Each agent's numbers follow from its name, so that every run makes the same history.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import django

django.setup()

from django.db import transaction  # noqa: E402 - the product can be imported only now

from audit import clock  # noqa: E402
from entitlements.agents.models import Agent  # noqa: E402
from entitlements.drift import replay, rules  # noqa: E402
from entitlements.drift.models import AgentHour, SessionNetwork  # noqa: E402
from entitlements.sessions.models import Session  # noqa: E402

DAYS: Final = 56
"""Four weeks that are replayed, and four before them."""
MOST: Final = 200
REPLAYED: Final = 28
_USUAL: Final = "read internal"
_NEW: Final = "write confidential"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SATURDAY: Final = 5
_OFFICE: Final = range(7, 18)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many findings came of how many agents or sessions in the four weeks."""

    detector: str
    findings: int
    of: int

    @property
    def per_hundred_weeks(self) -> float:
        """Findings of a hundred agents in a week; of sessions, of a hundred of them."""
        weeks = 1 if self.detector == "network-drift" else REPLAYED / 7
        return round(100 * self.findings / self.of / weeks, 1)


def hours(name: str, first: datetime, days: int = DAYS) -> Iterator[tuple[datetime, str, int]]:
    """Yield the hours in which an agent worked: when, with which class of tools, how often. `first` is a midnight."""
    own = random.Random(name)  # noqa: S311 - a history, not a secret
    kind = own.choices(("office", "night", "always", "seldom"), (4, 3, 2, 1))[0]
    size, start, night = own.choice((3, 8, 20, 60)), own.choice((7, 8, 9)), own.randrange(6)
    new_class = own.randrange(days // 2, days) if own.random() < 0.05 else days  # noqa: PLR2004 - a share
    for number in range(days):
        day = first + number * _DAY
        much = own.uniform(1, 3) if own.random() < 0.02 else 1.0  # noqa: PLR2004 - a share
        for hour in _hours_of_day(own, kind, day, start, night):
            calls = min(int(own.lognormvariate(0, 0.4) * size * much) + 1, 10_000)
            yield day + hour * _HOUR, _USUAL, calls
            if number >= new_class and hour == start:
                yield day + hour * _HOUR, _NEW, 1


def _hours_of_day(own: random.Random, kind: str, day: datetime, start: int, night: int) -> Sequence[int]:
    is_weekend, is_unusual = day.weekday() >= _SATURDAY, own.random() < 0.01  # noqa: PLR2004 - a share
    if kind == "always":
        return range(24)
    if kind == "night":
        return (night, night + 1) if own.random() < 0.2 else (night,)  # noqa: PLR2004 - a share
    if kind == "seldom":
        return (own.choice(_OFFICE),) if own.random() < 0.15 and not is_weekend else ()  # noqa: PLR2004 - a share
    if is_weekend:
        return (start + 2,) if is_unusual else ()
    worked = [hour for hour in range(start, start + 9) if own.random() < 0.8]  # noqa: PLR2004 - a share
    return [*worked, start + 12] if is_unusual else worked


def networks(name: str, first_at: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield the addresses that a session of an agent came from, and since when."""
    own = random.Random(f"{name} {first_at:%Y%m%d}")  # noqa: S311 - as above
    yield f"10.1.{own.randrange(4)}.7", first_at
    if own.random() < 1 / 12:
        yield f"{own.randrange(80, 95)}.{own.randrange(200)}.1.9", first_at + _HOUR


@transaction.atomic
def fill(agents: Sequence[Agent]) -> None:
    """Write the history of some agents and of the sessions that they have."""
    first = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - DAYS * _DAY
    rows = (
        AgentHour(agent=agent, hour=at, tool_class=tool_class, calls=calls)
        for agent in agents
        for at, tool_class, calls in hours(agent.slug, first)
    )
    AgentHour.objects.bulk_create(rows, batch_size=10_000, ignore_conflicts=True)
    seen = []
    for session in Session.objects.filter(agent__in=agents).select_related("agent"):
        for source, at in networks(session.agent.slug, session.started_at):
            known = rules.network_of(source)
            if known is not None:
                network = rules.digest(str(session.pk), known[0])
                seen.append(SessionNetwork(session=session, network=network, address_class=known[1], first_at=at))
    SessionNetwork.objects.bulk_create(seen, batch_size=10_000, ignore_conflicts=True)


def rates() -> list[Rate]:
    """Replay the detectors that look at the history over four weeks."""
    of_agents = AgentHour.objects.values("agent").distinct().count()
    of_sessions = SessionNetwork.objects.values("session").distinct().count()
    names = ("network-drift", "tool-class-drift", "hour-drift", "volume-drift")
    found = [replay.run(rules.NAMED[name], REPLAYED) for name in names]
    return [
        Rate(each.detector.name, each.findings, of_sessions if each.detector.name == names[0] else of_agents)
        for each in found
    ]


def main() -> int:
    """Fill the history of a fleet that is there, and print the rates."""
    agents = list(Agent.objects.filter(slug__startswith="fleet-").order_by("slug")[:MOST])
    fill(agents)
    for rate in rates():
        print(f"{rate.detector}: {rate.findings} of {rate.of}, {rate.per_hundred_weeks} of a hundred a week")
    return 0


if __name__ == "__main__":
    sys.exit(main())
