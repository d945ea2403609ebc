"""What a review suggests for each item: facts frozen with its population, weighed by one table.

The stored inputs and this version's table always give the same verdict. A removal is suggested only where every call
is visible, or where no token was requested; unknown facts are shown and weigh nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import chain
from governance.database import cursors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.usage import signals, usage
from governance.sod import facts as sod_facts
from governance.sod import rules as sod_rules

from . import judgement

IDLE: Final = timedelta(days=45)
OLD_SECRET: Final = timedelta(days=365)
REMEMBERED: Final = timedelta(days=365)
_AT_ONCE: Final = 2000
_OF_GRANTS: Final = (ReviewItem.Subject.ACCESS, ReviewItem.Subject.DELEGATION)
"""The subjects that get suggestions: the use of the others is not counted."""


_GATHER: Final = """
SELECT i.id, i.agent_id, l.lines, jsonb_build_object(
    'parts', i.subject_kind = 'access' AND governance_strategy(i.risk, i.campaign_id) <> 'all_must_keep',
    'denied', coalesce((SELECT sum(c.denied) FROM governance_usageday c JOIN entitlements_tool t ON t.id = c.tool_id
        WHERE c.agent_id = i.agent_id AND c.grant_id IS NULL AND c.denied > 0 AND t.system_id = i.system_id
        AND c.day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date), 0),
    'sponsor_active', s.is_active,
    'idle', g.newest <= %(idle)s AND l.last_call IS DISTINCT FROM true
        AND NOT EXISTS (SELECT FROM entitlements_issuedtoken k WHERE k.agent_id = i.agent_id
        AND k.system_id = i.system_id AND k.revoked_at IS NULL AND k.expires_at > %(idle)s),
    'old_secret', EXISTS (SELECT FROM entitlements_client c WHERE c.agent_id = i.agent_id AND c.status = 'active'
        AND c.auth = 'client_secret_basic' AND c.credential_made_at <= %(old)s),
    'new', EXISTS (SELECT FROM governance_campaign c WHERE c.state IN ('active', 'paused', 'closing', 'closed')
        AND c.snapshot_at < %(now)s AND c.snapshot_at >= %(year)s)
        AND NOT EXISTS (SELECT FROM governance_populationrow p JOIN governance_populationrow q
            ON q.grant_id = p.grant_id AND q.campaign_id <> p.campaign_id
            JOIN governance_campaign o ON o.id = q.campaign_id AND o.state IN ('active', 'paused', 'closing', 'closed')
            WHERE p.item_id = i.id),
    'by_rule', g.by_rule,
    'runs_another', EXISTS (SELECT FROM entitlements_agentversion v WHERE v.agent_id = i.agent_id
        AND v.reported_at > greatest(g.newest, h.decided_at)),
    'seasonal', coalesce(h.seasonal, false),
    'kept_before', coalesce(h.with_reason, false)
)
FROM governance_reviewitem i
JOIN entitlements_agent a ON a.id = i.agent_id JOIN entitlements_person s ON s.id = a.sponsor_id
CROSS JOIN LATERAL (
    SELECT bool_or(l.last_call_at > %(idle)s) AS last_call,
           coalesce(jsonb_agg(jsonb_build_object('line', l.id, 'tool', t.name, 'action', t.action,
               'calls', coalesce(l.calls_window, 0), 'full', l.usage_grade = 'A' AND g.starts_at <= %(since)s,
               'changed', t.state = 'quarantined' OR t.seen_id IS DISTINCT FROM t.approved_id,
               'of', jsonb_build_array(g.entitlement_id, t.id, l.grant_id, l.usage_grade)) ORDER BY l.id), '[]')
           AS lines
    FROM governance_reviewline l JOIN entitlements_grant g ON g.id = l.grant_id
    JOIN entitlements_tool t ON t.id = l.tool_id WHERE l.item_id = i.id) l
CROSS JOIN LATERAL (SELECT max(g.starts_at) AS newest, bool_or(g.request_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM governance_approval v WHERE v.request_id = g.request_id AND v.by_id IS NOT NULL)) AS by_rule
    FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id WHERE p.item_id = i.id) g
CROSS JOIN LATERAL (SELECT max(d.decided_at) AS decided_at,
        bool_or(d.reason_code = 'seasonal' AND d.decided_at > %(year)s) AS seasonal,
        bool_or(d.verb = 'certify' AND d.reason_code <> '' AND d.decided_at > %(year)s) AS with_reason
    FROM (SELECT * FROM governance_reviewitem WHERE agent_id = i.agent_id OFFSET 0) o
    JOIN governance_reviewdecision d ON d.id = o.current_decision_id
    WHERE o.system_id = i.system_id AND o.subjects_digest = i.subjects_digest AND d.verb IN ('certify', 'reduce')) h
WHERE i.id = ANY(%(items)s::uuid[])
ORDER BY i.number
"""
"""Each part goes by the item's own index: it reads as much as the items asked for, whatever the planner knows."""

_RENEWED: Final = f"""
WITH RECURSIVE chain AS ({
    usage.chain('''SELECT g.id, g.starts_at, g.request_id FROM governance_populationrow p
        JOIN entitlements_grant g ON g.id = p.grant_id AND g.starts_at > %(since)s
        JOIN governance_accessrequest r ON r.id = g.request_id AND r.renews_id IS NOT NULL
        WHERE p.item_id = ANY(%(items)s::uuid[])''')
}) SELECT grant_id FROM chain GROUP BY 1 HAVING min(starts_at) <= %(since)s
"""  # noqa: S608 - made of constants

_PEERS: Final = """
WITH bundle AS (
    SELECT DISTINCT g.entitlement_id FROM governance_populationrow p JOIN entitlements_grant g ON g.id = p.grant_id
    WHERE p.campaign_id = %(campaign)s
), held AS (
    SELECT g.entitlement_id, l.tool_id, g.agent_id FROM entitlements_grant g JOIN bundle USING (entitlement_id)
    LEFT JOIN entitlements_grantline l ON l.grant_id = g.id WHERE g.ended_at IS NULL
    GROUP BY 1, 2, 3
)
SELECT entitlement_id, tool_id, count(*) FROM held WHERE tool_id IS NOT NULL GROUP BY 1, 2
UNION ALL SELECT entitlement_id, NULL, count(DISTINCT agent_id) FROM held GROUP BY 1
"""

type Peers = dict[tuple[int, int | None], int]
"""How many agents hold each tool of an entitlement, and (with None) how many hold the entitlement at all."""


def suggest(
    campaign: Campaign, now: datetime, *, after: int = 0, upto: int | None = None, peers: Peers | None = None
) -> int:
    """Store a suggestion for each item of a campaign that is being staged, or for a range of numbers; return how many.

    A caller that goes on in steps passes the `peers` that were counted once.
    """
    items = ReviewItem.objects.filter(campaign=campaign, number__gt=after, subject_kind__in=_OF_GRANTS).order_by(
        "number"
    )
    items = items if upto is None else items.filter(number__lte=upto)
    count, peers = 0, peers_of(campaign) if peers is None else peers
    for ids in batched(cursors.in_parts(items.values_list("pk", flat=True)), _AT_ONCE):
        gathered = gather(ids, now, peers)
        with connection.cursor() as cursor, cursor.copy(_COPY) as rows:
            for item, inputs in gathered:
                rows.write_row(_stored(item, inputs))
        count += len(gathered)
    return count


def peers_of(campaign: Campaign) -> Peers:
    """Count how many agents hold each entitlement and tool in a campaign, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(_PEERS, {"campaign": campaign.pk})
        return {(entitlement, tool): count for entitlement, tool, count in cursor.fetchall()}


def gather(ids: Iterable[UUID], now: datetime, peers: Peers) -> list[tuple[UUID, dict[str, Any]]]:
    """Read the inputs of some items as they are now, in a fixed number of statements."""
    parameters: dict[str, Any] = {
        "items": list(ids),
        "now": now,
        "since": now - usage.WINDOW,
        "idle": now - IDLE,
        "old": now - OLD_SECRET,
        "year": now - REMEMBERED,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        cursor.execute(_GATHER, parameters)
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on")
        cursor.execute(_RENEWED, parameters)
        renewed = {str(grant) for (grant,) in cursor.fetchall()}
    agents = {agent for _, agent, _, _ in rows}
    completed, reach = _combinations(agents), signals.reached(agents, now)
    read = [(item, agent, json.loads(lines), json.loads(facts)) for item, agent, lines, facts in rows]
    wider = signals.grown({line["of"][1] for _, _, lines, _ in read for line in lines if line["changed"]})
    return [
        (
            item,
            {
                **_lines(lines, peers, renewed, wider),
                **facts,
                "combinations": completed.get(agent, []),
                "blast": reach[agent][0],
                "blast_before": reach[agent][1],
            },
        )
        for item, agent, lines, facts in read
    ]


def _lines(
    lines: list[dict[str, Any]], peers: Peers, renewed: Collection[str], wider: Collection[int]
) -> dict[str, Any]:
    """Complete the lines of an item, and count how usual they are among agents with the same entitlements."""
    counts, shares = [], []
    for line in lines:
        entitlement, tool, grant, grade = line.pop("of")
        line["wider"] = tool in wider
        line["full"] = line["full"] or (grade == "A" and grant in renewed)
        others = peers.get((entitlement, None), 0) - 1
        if others > 0:
            counts.append(others)
            shares.append(100 * (peers[entitlement, tool] - 1) // others)
    return {"lines": lines, "peers": {"count": min(counts, default=0), "least": min(shares, default=0)}}


def _combinations(agents: set[int]) -> dict[int, list[str]]:
    """Return the names of the SoD policies that each agent violates."""
    rules = sod_facts.in_force()
    if not rules:
        return {}
    held, read = sod_facts.held_by(agents), {rule.name: sod_rules.read(rule.sides) for rule in rules}
    return {
        agent: [name for name, sides in read.items() if sod_rules.completed(sides, tools)]
        for agent, tools in held.items()
    }


_COPY: Final = (
    "COPY governance_suggestion (item_id, verdict, score, kept, reasons, inputs, inputs_sha256, version) FROM STDIN"
)


def _stored(item: UUID, inputs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the row of an item's suggestion, as `_COPY` takes it."""
    judged, canonical = judgement.judge(inputs), chain.canonical(inputs)
    return (
        item,
        judged.verdict.value,
        judged.score,
        list(judged.kept),
        json.dumps(judged.reasons),
        canonical.decode(),
        hashlib.sha256(canonical).hexdigest(),
        judgement.VERSION,
    )
