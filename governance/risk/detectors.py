"""Our own detectors: what the audit log tells of risk, read once in the order of the sealed events.

Each formula is in docs/operate/risk-and-signals.md. What they find is noted once, by a reference that names it, so
that a reader which was cut off reads again without harm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from audit import stream
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.risk import risk
from entitlements.risk.risk import NewSignal
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.words import Risk
from governance.reviews.usage.models import UsageDay

CURSOR: Final = "risk-detectors"
AT_ONCE: Final = 5000
BURST, WITHIN = 20, timedelta(minutes=5)
"""So many denied calls of one agent in so short a time are a burst."""
AGAIN_AFTER: Final = timedelta(hours=1)
"""For so long a burst that goes on is not noted again."""
IRREVERSIBLE: Final = ("delete", "execute")
_MOST_DENIED: Final = 10_000
_READ: Final = (Action.TOKEN_FAMILY_REUSED, Action.TOOL_CHANGED, Action.CALL_DENIED)

_IRREVERSIBLE: Final = f"""
SELECT e.at, e.uuid, t.id, a.id
FROM {stream.LEAVES} e
CROSS JOIN LATERAL unnest(e.links) AS named(link)
CROSS JOIN LATERAL unnest(e.links) AS acting(link)
JOIN entitlements_tool t ON t.action = ANY(%(actions)s) AND named.link LIKE 'tool:%%'
 AND t.name = substr(named.link, strpos(named.link, '/') + 1)
JOIN entitlements_system y ON y.id = t.system_id AND y.slug = substr(split_part(named.link, '/', 1), 6)
JOIN entitlements_agent a ON acting.link = 'agent:' || a.slug
WHERE e.action = 'call.allowed' ORDER BY e.at
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found, about an agent or a person."""

    subject: RiskSubject
    new: NewSignal

    @property
    def order(self) -> tuple[int, int]:
        """Agents come before people, each by key: as their locks are taken."""
        agent, person = self.subject.agent, self.subject.person
        return (0, agent.pk) if agent is not None else (1, person.pk if person is not None else 0)


def listen(limit: int = AT_ONCE) -> int:
    """Note what the next sealed events tell of; says how many were passed. Begins with what comes from now."""
    with stream.consume(CURSOR, limit, from_now=True) as leaves:
        if leaves:
            events = [sealed.event for sealed in stream.events(leaves, _READ)]
            found = [*_single(events), *_bursts(events), *_first_uses(leaves)]
            for each in sorted(found, key=lambda one: one.order):
                risk.note(each.subject, each.new)
    return len(leaves)


def _single(events: Iterable[Event]) -> Iterator[Found]:
    """Find what one event alone tells of: a refresh token that was used again, a definition that drifted."""
    for event in events:
        if event.action == Action.TOKEN_FAMILY_REUSED:
            for person in Person.objects.filter(login__in=event.keys("person")):
                said = "A refresh token or code was used a second time: it, or its first use, was stolen."
                yield Found(RiskSubject(person=person), _signal(Kind.REFRESH_REUSE, Risk.MEDIUM, said, event))
        elif event.action == Action.TOOL_CHANGED and event.detail.text("change") not in ("none", "cosmetic"):
            for key in event.keys("tool"):
                yield from _drifted(event, key)


def _drifted(event: Event, key: str) -> Iterator[Found]:
    """Find each agent that holds a tool whose definition is another than the approved one."""
    slug, _slash, name = key.partition("/")
    held = Grant.objects.filter(ended_at=None, lines__tool__system__slug=slug, lines__tool__name=name)
    for agent in Agent.objects.filter(pk__in=held.values("agent")).order_by("pk"):
        new = _signal(Kind.DEFINITION_DRIFT, Risk.LOW, f"The definition of {key} changed.", event, agent.pk)
        yield Found(RiskSubject(agent=agent), new)


def _bursts(events: Iterable[Event]) -> Iterator[Found]:
    """Find agents with many denied calls in a short time, of which at least one is among these events."""
    denied: dict[str, list[datetime]] = defaultdict(list)
    for event in events:
        if event.action == Action.CALL_DENIED and event.actor.startswith("agent:"):
            denied[event.actor].append(event.at)
    for actor, times in denied.items():
        agent = Agent.objects.filter(slug=actor.removeprefix("agent:")).first()
        if agent is None or (ended := _burst(actor, min(times) - WITHIN, max(times))) is None:
            continue
        hour = int(ended.timestamp() // AGAIN_AFTER.total_seconds())
        said = f"{BURST} calls were denied within {int(WITHIN.total_seconds() // 60)} minutes."
        reference = f"denied-calls:{agent.pk}:{hour}"
        new = NewSignal(Kind.DENIED_CALL_BURST, Risk.MEDIUM, _source(Kind.DENIED_CALL_BURST), said, ended, reference)
        yield Found(RiskSubject(agent=agent), new)


def _burst(actor: str, first: datetime, last: datetime) -> datetime | None:
    """Return when the first burst of an agent between two moments was complete; None where there was none."""
    rows = Event.objects.filter(action=Action.CALL_DENIED, links__contains=[actor], at__gte=first, at__lte=last)
    times = list(rows.order_by("at").values_list("at", flat=True)[:_MOST_DENIED])
    complete = zip(times, times[BURST - 1 :], strict=False)
    return next((end for begin, end in complete if end - begin <= WITHIN), None)


def _first_uses(leaves: range) -> Iterator[Found]:
    """Find agents that used a tool which deletes or executes, and had not on any day before."""
    with connection.cursor() as cursor:
        cursor.execute(_IRREVERSIBLE, {**stream.bounds(leaves), "actions": [*IRREVERSIBLE]})
        rows = cursor.fetchall()
    first: dict[tuple[int, int], tuple[datetime, object]] = {}
    for at, _uuid, tool, agent in rows:
        first.setdefault((agent, tool), (at, _uuid))
    for (agent_key, tool_key), (at, _uuid) in first.items():
        used = UsageDay.objects.filter(agent_id=agent_key, tool_id=tool_key, calls__gt=0, day__lt=at.date())
        if not used.exists():
            agent, tool = Agent.objects.get(pk=agent_key), Tool.objects.select_related("system").get(pk=tool_key)
            said = f"{tool.system.slug}/{tool.name} was used for the first time. It cannot be undone."
            reference = f"irreversible-use:{agent_key}:{tool_key}"
            new = NewSignal(Kind.IRREVERSIBLE_USE, Risk.LOW, _source(Kind.IRREVERSIBLE_USE), said, at, reference)
            yield Found(RiskSubject(agent=agent), new)


def _signal(kind: Kind, level: Risk, said: str, event: Event, *of: int) -> NewSignal:
    reference = ":".join(["event", str(event.uuid), *map(str, of)])
    return NewSignal(kind, level, _source(kind), said, event.at, reference)


def _source(kind: Kind) -> str:
    return f"detector:{kind.value.replace('_', '-')}"
