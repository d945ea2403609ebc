"""The facts about many agents and some tools, without lines: a few statements, however many agents there are.

The statements are those of `entitlements/decisions/facts.py`, which read one agent, asked about several.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from entitlements import prepared
from entitlements.decisions import facts
from entitlements.decisions.snapshot import AgentFacts
from entitlements.guardrails import sets

_ONE: Final = "a.slug = %s AND y.slug = %s"
_PRINCIPALS: Final = facts.PRINCIPALS.replace(_ONE, "a.slug = ANY(%s) AND y.slug = %s")
_TOOL: Final = facts.TOOLS + " AND t.name = ANY(%s)"


def load(agents: Collection[str], system: str, tools: Collection[str]) -> dict[str, AgentFacts]:
    """Return the facts about each agent at a system, by slug: its principals and some tools, without lines.

    Agents and systems that are unknown have none.
    """
    rows = prepared.rows(_PRINCIPALS, [list(agents), system])
    for newest in sets.unread(rows):
        sets.keep(newest, prepared.rows(sets.GUARDRAILS, [newest]))
    found = prepared.rows(_TOOL, [system, list(tools)])
    if unread := facts.unread_schemas(found):
        facts.keep_schemas(prepared.rows(facts.SCHEMAS, [system, unread]))
    return {row[1]: facts.build(row, (), found) for row in rows}
