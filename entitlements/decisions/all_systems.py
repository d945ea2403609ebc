"""All systems at one address: how their tools are named there, and the facts of an agent at all of them at once.

A tool is named `<system>__<tool>`. No slug of a system holds an underscore, so the first two end the slug, whatever the
tool is called. Taken together the facts are those of one system with such tools, and one policy judges both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from entitlements.words import Status

from .reads import Reads
from .snapshot import AgentFacts, Line, ToolFacts

SEPARATOR: Final = "__"
LONGEST_NAME: Final = 128
"""Characters that the name of a tool has at most (MCP 2026-07-28, tools)."""
_NAME: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,62})__(.+)", re.DOTALL)
_SYSTEMS: Final = """
SELECT DISTINCT y.slug, y.kind, a.id FROM entitlements_grant g
JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_entitlement e ON e.id = g.entitlement_id
JOIN entitlements_system y ON y.id = e.system_id
WHERE a.slug = %s AND g.ended_at IS NULL ORDER BY y.slug
"""


def name(system: str, tool: str) -> str:
    """Return the name of a system's tool at the address of all systems."""
    return f"{system}{SEPARATOR}{tool}"


def split(named: str) -> tuple[str, str] | None:
    """Return the system and the tool of a name; None where it has not the form `<system>__<tool>`."""
    match = _NAME.fullmatch(named)
    return (match[1], match[2]) if match else None


async def slugs(reads: Reads, agent: str, kinds: Collection[str]) -> list[str]:
    """Return the systems of these kinds at which an agent has a grant, in force or not yet ended, in order."""
    rows = await reads.kept(_SYSTEMS, [agent], lambda rows: [("agent_id", rows[0][2])])
    return [slug for slug, kind, _ in rows if kind in kinds]


async def with_all(reads: Reads, known: AgentFacts, system: str, kinds: Collection[str]) -> AgentFacts:
    """Return the facts about an agent at `system` with those at every system of these kinds."""
    each = [await reads.facts(known.agent, slug) for slug in await slugs(reads, known.agent, kinds)]
    return together(known, system, [found for found in each if found is not None])


def together(known: AgentFacts, system: str, each: Iterable[AgentFacts]) -> AgentFacts:
    """Return `known`, which are facts at `system`, with the tools and grants of every active system of `each`."""
    tools: dict[tuple[str, str], ToolFacts] = {}
    lines: dict[tuple[str, str, str | None], tuple[Line, ...]] = {}
    people = dict(known.people)
    groups = known.groups
    for at in each:
        people.update(at.people)
        groups |= at.groups
        for (slug, tool), pinned in at.tools.items():
            if at.systems.get(slug) is Status.ACTIVE:
                tools[system, name(slug, tool)] = pinned
        for (slug, tool, person), held in at.lines.items():
            if at.systems.get(slug) is Status.ACTIVE:
                lines[system, name(slug, tool), person] = held
    return replace(known, tools=tools, lines=lines, people=people, groups=groups)
