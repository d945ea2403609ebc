"""The tool lines that agents hold, each with what it weighs: for one agent or thousands in two statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from django.db.models import Count, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant, GrantLine, GrantSubject
from governance.blast_radius import blast_radius
from governance.blast_radius.blast_radius import Reach, WeighedLine

BIGGEST: Final = 3
"""How many tool lines are named."""
PRIVILEGED: Final = frozenset({Tool.Risk.HIGH, Tool.Risk.CRITICAL})
ATTENDED: Final = frozenset({Agent.Kind.PERSONAL, Agent.Kind.SHARED})


@dataclass(frozen=True, slots=True)
class Line:
    """One tool line of one grant in force: what it does, how far it reaches, and what it weighs."""

    tool: int
    name: str
    system: str
    action: str
    data_class: str
    reach: Reach
    weight: float


@dataclass(slots=True)
class Holdings:
    """What one agent holds: its grants, distinct tools, the privileged ones of them, and its lines."""

    grants: set[object] = field(default_factory=set)
    tools: set[int] = field(default_factory=set)
    privileged: set[int] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)

    @property
    def weight(self) -> float:
        """What all lines weigh together."""
        return sum(line.weight for line in self.lines)

    @property
    def score(self) -> int:
        """The blast radius, from 0 to 100."""
        return blast_radius.score([self.weight])

    @property
    def biggest(self) -> list[Line]:
        """The heaviest lines, one for each tool."""
        by_tool = {line.tool: line for line in sorted(self.lines, key=lambda line: line.weight)}
        return nlargest(BIGGEST, by_tool.values(), key=lambda line: line.weight)


def held_by(agents: Collection[int]) -> dict[int, Holdings]:
    """Return what each of some agents holds by grants that have not ended; agents that hold nothing are left out."""
    live = Grant.objects.filter(agent__in=agents, ended_at=None, expires_at__gt=clock.now())
    people = people_acted_for(live)
    names = ("grant__agent", "grant__agent__kind", "grant", "tool")
    tools = Tool.objects.select_related("system").in_bulk(
        GrantLine.objects.filter(grant__in=live).order_by().values_list("tool", flat=True).distinct()
    )
    held: dict[int, Holdings] = defaultdict(Holdings)
    for agent, kind, grant, pk in GrantLine.objects.filter(grant__in=live).values_list(*names):
        tool, one = tools[pk], held[agent]
        one.grants.add(grant)
        one.tools.add(pk)
        if tool.risk in PRIVILEGED:
            one.privileged.add(pk)
        one.lines.append(_line(tool, kind, people.get(grant, 0)))
    return dict(held)


def _line(tool: Tool, kind: str, people: int) -> Line:
    weighs = weight(tool.action, tool.data_class, people, kind=kind)
    reach = blast_radius.reach(people)
    return Line(tool.pk, tool.name, tool.system.name, tool.action, tool.data_class, reach, weighs)


def weight(action: str, data_class: str, people: int, *, kind: str) -> float:
    """Return what one tool line of an agent of this kind weighs, for so many people."""
    return blast_radius.weight(WeighedLine(action, data_class, blast_radius.reach(people), kind in ATTENDED))


def people_acted_for(live: QuerySet[Grant]) -> dict[object, int]:
    """Count whom each grant acts for, the people of its groups included."""
    rows = GrantSubject.objects.filter(grant__in=live).values("grant")
    counted = rows.annotate(named=Count("person", distinct=True), members=Count("group__people", distinct=True))
    return {row["grant"]: row["named"] + row["members"] for row in counted}
