"""Which decoys an agent is shown at a system, and how a call of one is judged: as one of the tool beside it.

They are no facts of a decision. Nothing that issues, introspects, answers a question of AuthZEN or explains one reads
them: only the list of tools, and a call of a name that no tool has.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from entitlements import addresses, all_systems
from entitlements.arguments import Schema
from entitlements.catalog.models import System
from entitlements.decisions import policy
from entitlements.decisions.reads import Reads, Rows
from entitlements.decisions.snapshot import UNLIMITED, AgentFacts, Call, Line, ToolFacts
from entitlements.decisions.verdicts import Verdict
from entitlements.upstream import mcp_headers

LISTED: Final = """
SELECT a.id, y.id,
       (SELECT json_agg(json_build_array(d.id::text, d.name, t.name, d.definition, d.answer) ORDER BY d.name)
          FROM entitlements_decoy d
          JOIN entitlements_decoyagent l ON l.decoy_id = d.id AND l.agent_id = a.id
          JOIN entitlements_tool t ON t.id = d.beside_id
         WHERE d.system_id = y.id AND d.ended_at IS NULL
           AND NOT EXISTS (SELECT FROM entitlements_tool o WHERE o.system_id = y.id AND o.name = d.name))::text
FROM entitlements_agent a, entitlements_system y WHERE a.slug = %s AND y.slug = %s
"""
"""The decoys of an agent at a system. One whose name a tool of the system has by now is none any more."""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class DecoyTool:
    """A decoy as the gateway shows it; `beside` is the tool with which it is listed."""

    key: str
    name: str
    beside: str
    definition: bytes
    schema: Schema
    answer: str
    mirrored: Mapping[str, mcp_headers.Path]


async def listed(reads: Reads, agent: str, system: str) -> tuple[DecoyTool, ...]:
    """Return the decoys of an agent at a system, by name, as of the last change of either.

    At the address of all systems they are named as tools are there.
    """
    if system != addresses.ALL:
        return _read(await reads.kept(LISTED, [agent, system], _about))
    found = []
    for slug in await all_systems.slugs(reads, agent, System.SERVED):
        found += [
            replace(decoy, name=all_systems.name(slug, decoy.name), beside=all_systems.name(slug, decoy.beside))
            for decoy in await listed(reads, agent, slug)
        ]
    return tuple(found)


async def named(reads: Reads, agent: str, system: str, tool: str) -> DecoyTool | None:
    """Return the decoy of an agent that has this name at one system."""
    return next((decoy for decoy in await listed(reads, agent, system) if decoy.name == tool), None)


def visible(call: Call, facts: AgentFacts, decoys: Sequence[DecoyTool], now: float) -> list[DecoyTool]:
    """Return the decoys that this caller is shown: each wherever the tool beside it is."""
    if not decoys:
        return []
    shown = {tool.name for tool in policy.visible_tools(call, as_tools(facts, decoys), now)}
    return [decoy for decoy in decoys if decoy.name in shown]


def judge(decoys: Sequence[DecoyTool], call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide a call of a decoy as if it was a tool, so that it is denied where a tool would be, and for that reason."""
    return policy.decide(call, as_tools(facts, decoys), now)


def as_tools(facts: AgentFacts, decoys: Sequence[DecoyTool]) -> AgentFacts:
    """Return facts in which decoys are tools, granted and classed as those beside them, and nothing else is.

    Limits are not taken over: they bound arguments of another tool.
    """
    tools: dict[tuple[str, str], ToolFacts] = {}
    lines: dict[tuple[str, str, str | None], tuple[Line, ...]] = {}
    for (system, name), tool in facts.tools.items():
        for decoy in decoys:
            if decoy.beside == name and (system, decoy.name) not in facts.tools:
                tools[system, decoy.name] = replace(tool, name=decoy.name, schema=decoy.schema, definition="")
    for (system, name, person), held in facts.lines.items():
        for decoy in decoys:
            if decoy.beside == name:
                lines[system, decoy.name, person] = tuple(replace(line, limits=UNLIMITED) for line in held)
    behind = tuple(as_tools(each, decoys) for each in facts.behind)
    return replace(facts, tools=tools, lines=lines, behind=behind)


def _about(rows: Rows) -> Iterable[tuple[str, object]]:
    agent, system, _ = rows[0]
    return ("agent_id", agent), ("system_id", system)


def _read(rows: Rows) -> tuple[DecoyTool, ...]:
    return _parsed(rows[0][2]) if rows and rows[0][2] else ()


@functools.lru_cache(maxsize=1_000)
def _parsed(stored: str) -> tuple[DecoyTool, ...]:
    """Read what LISTED returned; the same text is read once."""
    return tuple(
        DecoyTool(
            key,
            name,
            beside,
            _encode(definition),
            Schema(json.dumps(definition["inputSchema"])),
            answer,
            mcp_headers.annotated(definition["inputSchema"]) or {},
        )
        for key, name, beside, definition, answer in json.loads(stored)
    )
