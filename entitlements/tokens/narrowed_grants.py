"""Grants that give less than their scope says: where a system looks at scopes alone, they give nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from entitlements.decisions import policy
from entitlements.decisions.reads import Reads
from entitlements.decisions.snapshot import AgentFacts, Chain

_NARROWER: Final = """
SELECT g.id::text FROM entitlements_grant g
JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_entitlement e ON e.id = g.entitlement_id
JOIN entitlements_system y ON y.id = e.system_id
WHERE a.slug = %s AND y.slug = %s AND g.ended_at IS NULL AND EXISTS (
  SELECT FROM entitlements_entitlementtool w JOIN entitlements_tool t ON t.id = w.tool_id
  LEFT JOIN entitlements_grantline l ON l.grant_id = g.id AND l.tool_id = t.id AND l.limits = w.limits
  WHERE w.entitlement_id = e.id AND t.state <> 'removed' AND (l.id IS NULL OR t.state <> 'approved'))
"""


async def left_out(reads: Reads, known: AgentFacts, system: str, client: str, chain: Chain = ()) -> AgentFacts:
    """Leave out the grants that give less than the scope that names them, for a system that looks at scopes alone.

    Such a grant has not all of the entitlement's tools, or narrower limits, or a tool of it is stopped, or one that the
    client may not call. The same is done for each agent of the chain behind, by its own client.
    """
    narrower = {grant for (grant,) in await reads.rows(_NARROWER, [known.agent, system])}
    if client in known.unproven_clients:
        risky = {key for key, tool in known.tools.items() if policy.is_too_risky(tool)}
        narrower |= {line.grant for (*tool, _), held in known.lines.items() if tuple(tool) in risky for line in held}
    lines = {key: tuple(line for line in held if line.grant not in narrower) for key, held in known.lines.items()}
    chained = zip(known.behind, chain, strict=True)
    behind = [await left_out(reads, each, system, through) for each, (_, through) in chained]
    return replace(known, lines=lines, behind=tuple(behind))
