"""All systems at one address: the facts of an agent at all of them at once, and how tools are named there.

Taken together they are those of one system with all the tools, `<system>__<tool>`, and one policy judges both. No slug
of a system holds an underscore, so the first two end the slug, whatever the tool is called.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from entitlements.decisions.reads import Reads
from entitlements.decisions.snapshot import AgentFacts, Line, ToolFacts
from entitlements.words import Status

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
    each = [await reads.facts(known.key, slug) for slug in await slugs(reads, known.agent, kinds)]
    return together(known, system, [found for found in each if found is not None])


def together(known: AgentFacts, system: str, each: Collection[AgentFacts]) -> AgentFacts:
    """Return `known`, which are facts at `system`, with the tools and grants of every active system of `each`."""
    tools: dict[tuple[str, str], ToolFacts] = {}
    lines: dict[tuple[str, str, str | None], tuple[Line, ...]] = {}
    people = dict(known.people)
    groups = known.groups
    for at in each:
        if Status.ACTIVE not in at.systems.values():
            continue
        people.update(at.people)
        groups |= at.groups
        tools.update({(system, name(slug, tool)): pinned for (slug, tool), pinned in at.tools.items()})
        lines.update({(system, name(slug, tool), person): held for (slug, tool, person), held in at.lines.items()})
    behind = [
        together(agent, system, [at.behind[place] for at in each if len(at.behind) > place])
        for place, agent in enumerate(known.behind)
    ]
    return replace(known, tools=tools, lines=lines, people=people, groups=groups, behind=tuple(behind))
