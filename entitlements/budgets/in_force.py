"""Which budgets are in force for an agent at a system: read once, and kept until a change of either."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

from entitlements.budgets import rules
from entitlements.budgets.rules import Terms
from entitlements.decisions.reads import Reads, Rows
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Verdict

IN_FORCE: Final = """
SELECT a.id, y.id,
       (SELECT json_agg(json_build_array(b.id::text, coalesce(b.grant_id::text, ''),
                CASE WHEN b.agent_id IS NULL THEN '' ELSE a.slug END, y.slug, b.unit, b.amount::text, b.window_seconds,
                coalesce(t.name, ''), b.argument, b.currency, b.currency_argument, b.largest_answer::text)
               ORDER BY b.id)
          FROM entitlements_budget b LEFT JOIN entitlements_tool t ON t.id = b.tool_id
         WHERE b.ended_at IS NULL AND (t.id IS NULL OR t.system_id = y.id)
           AND (b.agent_id = a.id OR b.system_id = y.id
                OR b.grant_id IN (SELECT g.id FROM entitlements_grant g
                                    JOIN entitlements_entitlement e ON e.id = g.entitlement_id
                                   WHERE g.agent_id = a.id AND e.system_id = y.id)))::text
FROM entitlements_agent a, entitlements_system y WHERE a.slug = %s AND y.slug = %s
"""


OF_MANY: Final = IN_FORCE.replace("a.slug = %s AND y.slug = %s", "a.slug = ANY(%s) AND y.slug = %s")
"""The same of many agents at one system."""


async def of_many(reads: Reads, agents: Collection[str], system: str) -> dict[str, Terms]:
    """Return the budgets of some agents, of a system, and of the grants of the ones at the other, by their keys."""
    rows = await reads.rows(OF_MANY, [list(agents), system])
    return {terms.key: terms for row in rows if row[2] for terms in _read(row[2])}


async def budgets(reads: Reads, agent: str, system: str) -> tuple[Terms, ...]:
    """Return the budgets of an agent, of a system, and of the grants of the one at the other. Raises Closed."""
    rows = await reads.kept(IN_FORCE, [agent, system], _about)
    return _read(rows[0][2]) if rows and rows[0][2] else ()


async def concerning(reads: Reads, call: Call, verdict: Verdict) -> list[Terms]:
    """Return the budgets that are about an allowed call, each once: those of each agent of a chain count too."""
    found: dict[str, Terms] = {}
    grants = {verdict.grant or "", *verdict.behind}
    for agent in (call.agent, *(behind for behind, _ in call.chain)):
        for terms in await budgets(reads, agent, call.system):
            if rules.concerns(terms, call.tool, grants):
                found[terms.key] = terms
    return [found[key] for key in sorted(found)]


def _about(rows: Rows) -> Iterable[tuple[str, object]]:
    agent, system, _ = rows[0]
    return ("agent_id", agent), ("system_id", system)


@functools.lru_cache(maxsize=10_000)
def _read(stored: str) -> tuple[Terms, ...]:
    """Read what IN_FORCE returned; the same text is read once."""
    return tuple(_terms(*each) for each in json.loads(stored))


def _terms(
    key: str, grant: str, agent: str, system: str, unit: str, amount: str, seconds: int | None, *more: str
) -> Terms:
    tool, argument, currency, currency_argument, *last = more
    largest: str | None = last[0]
    kind, named = ("grant", grant) if grant else ("agent", agent) if agent else ("system", system)
    bound = None if largest is None else Decimal(largest)
    return Terms(key, kind, named, unit, Decimal(amount), seconds, tool, argument, currency, currency_argument, bound)
