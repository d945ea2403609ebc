"""Signals for suggestions beyond an item's own rows: wider tool definitions, and the agent's blast radius."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import connection

from entitlements.catalog.models import Tool
from entitlements.definitions import definitions
from entitlements.definitions.definitions import Change
from governance.blast_radius import blast_radius, holdings

WIDER: Final = frozenset({Change.SCHEMA_WIDENED, Change.SCHEMA_CHANGED})
"""A schema change that is neither wider nor narrower may accept more as well."""
_HELD: Final = """
SELECT g.agent_id, a.kind, t.action, t.data_class, p.people, count(*)
FROM entitlements_grant g JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_grantline l ON l.grant_id = g.id JOIN entitlements_tool t ON t.id = l.tool_id
CROSS JOIN LATERAL (
    SELECT count(DISTINCT s.person_id) + count(DISTINCT m.person_id) AS people FROM entitlements_grantsubject s
    LEFT JOIN entitlements_membership m ON m.group_id = s.group_id WHERE s.grant_id = g.id) p
WHERE g.agent_id = ANY(%s) AND g.ended_at IS NULL AND g.expires_at > %s GROUP BY 1, 2, 3, 4, 5
"""
_BEFORE: Final = """
SELECT DISTINCT ON (i.agent_id) i.agent_id, (s.inputs ->> 'blast')::int FROM governance_reviewitem i
JOIN governance_campaign c ON c.id = i.campaign_id JOIN governance_suggestion s ON s.item_id = i.id
WHERE i.agent_id = ANY(%s) AND s.inputs ? 'blast' AND c.snapshot_at < %s
    AND c.state IN ('active', 'paused', 'closing', 'closed')
ORDER BY i.agent_id, c.snapshot_at DESC
"""


def grown(tools: Collection[int]) -> frozenset[int]:
    """Return the tools whose offered schema is wider than the approved one."""
    seen = Tool.objects.filter(pk__in=tools, approved__isnull=False, seen__isnull=False)
    offered = seen.values_list("pk", "approved__definition", "seen__definition")
    return frozenset(tool for tool, old, new in offered if definitions.classify(old, new) in WIDER)


def reached(agents: Collection[int], now: datetime) -> dict[int, tuple[int, int | None]]:
    """Return the blast radius of each agent now, and at its last review; None without one."""
    weights: dict[int, float] = defaultdict(float)
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [list(agents), now])
        for agent, kind, action, data_class, people, count in cursor.fetchall():
            weights[agent] += count * holdings.weight(action, data_class, people, kind=kind)
        cursor.execute(_BEFORE, [list(agents), now])
        before = dict(cursor.fetchall())
    return {agent: (blast_radius.score([weights[agent]]), before.get(agent)) for agent in agents}
