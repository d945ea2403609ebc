"""The access of one agent as a map: for whom it acts, at which systems, with which tools, and what of it is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from entitlements.agents.models import Agent
from entitlements.grants.models import Grant, GrantLine
from governance.charts import plots

MOST_NODES: Final = 60
"""With more nodes there is no drawing, only the table."""
_PEOPLE: Final = 8
_FINAL: Final = frozenset({"delete", "execute"})


@dataclass(frozen=True, slots=True)
class Line:
    """One tool at one system: for whom, what was seen of it, and whether what it does cannot be taken back.

    `use` is used, unused, unseen, or early: of access that is not old enough, no call says nothing yet.
    """

    system: str
    tool: str
    people: str
    use: str
    calls: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class Map:
    """Names in four columns, the drawings of the edges between them, and the same as lines of a table.

    Without drawings there are too many names to be drawn. Names of people and of unused tools that are too many stand
    as one, with their number.
    """

    people: list[str]
    agent: str
    systems: list[str]
    tools: list[str]
    edges: tuple[str, str, str] | None
    lines: list[Line]


def access_map(agent: Agent, grants: Sequence[Grant]) -> Map | None:
    """Lay out grants that were fetched with their lines, people and use (`using.with_use`); nothing without any."""
    lines = [_line(grant, line) for grant in grants for line in grant.lines.all()]
    if not lines:
        return None
    lines.sort(key=lambda line: (line.system, -line.calls, line.tool))
    people = list(dict.fromkeys(name for grant in grants for name in _people(grant)))
    people_shown = people if len(people) <= _PEOPLE else [*people[: _PEOPLE - 1], _more(len(people) - _PEOPLE + 1)]
    by_system: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_system[line.system].append(line)
    systems = list(by_system)
    tools = [node for system in systems for node in _nodes(by_system[system])]
    if len(people_shown) + 1 + len(systems) + len(tools) > MOST_NODES:
        return Map(people_shown, agent.name, systems, [name for _at, name, _edge in tools], None, lines)
    rows = max(len(people_shown), len(systems), len(tools))
    to_systems = [(0, at, _edge(by_system[system])) for at, system in enumerate(systems)]
    to_tools = [(systems.index(system), at, edge) for at, (system, _name, edge) in enumerate(tools)]
    edges = (
        plots.edges([(at, 0, plots.Edge(0)) for at in range(len(people_shown))], (len(people_shown), 1), rows),
        plots.edges(to_systems, (1, len(systems)), rows),
        plots.edges(to_tools, (len(systems), len(tools)), rows),
    )
    return Map(people_shown, agent.name, systems, [name for _at, name, _edge in tools], edges, lines)


def _nodes(lines: Sequence[Line]) -> list[tuple[str, str, plots.Edge]]:
    """Return the tools of one system as nodes: those that are not used, from three on, as one."""
    unused = [line for line in lines if line.use == "unused" and not line.is_final]
    apart = lines if len(unused) < 3 else [line for line in lines if line not in unused]  # noqa: PLR2004 - two are shown each
    nodes = [(line.system, line.tool, _edge([line])) for line in apart]
    if len(apart) < len(lines):
        label = ngettext("+%(n)d unused", "+%(n)d unused", len(unused)) % {"n": len(unused)}
        nodes.append((lines[0].system, label, _edge(unused)))
    return nodes


def _edge(lines: Sequence[Line]) -> plots.Edge:
    calls = sum(line.calls for line in lines)
    is_unused = all(line.use == "unused" for line in lines)
    return plots.Edge(calls, is_dashed=is_unused, is_double=len(lines) == 1 and lines[0].is_final)


def _line(grant: Grant, line: GrantLine) -> Line:
    seen = getattr(line, "use", None)
    calls = (seen.calls or 0) if seen else 0
    use = (
        "used" if calls else "unseen" if seen is None or seen.calls is None else "unused" if seen.is_unused else "early"
    )
    names = ", ".join(_people(grant))
    return Line(grant.entitlement.system.name, line.tool.name, names, use, calls, line.tool.action in _FINAL)


def _people(grant: Grant) -> list[str]:
    named = [
        subject.person.name if subject.person else subject.group.name if subject.group else ""
        for subject in grant.subjects.all()
    ]
    return [name for name in named if name] or [_("Itself")]


def _more(n: int) -> str:
    return ngettext("+%(n)d more", "+%(n)d more", n) % {"n": n}
