"""Taking the population of a campaign: one statement reads it, so that it is one snapshot.

The rows become items, population rows and lines in batches, so that no transaction holds a million of them.

The hashed text has times in UTC with microseconds and Z: the database's own format depends on the time zone of the
session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Max

from entitlements.grants.models import Grant
from governance.database import cursors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules, violations
from governance.reviews.items.models import ReviewItem
from governance.reviews.population.models import PopulationRow
from governance.reviews.staging.models import SnapshotRow
from governance.reviews.usage import usage

from . import other_subjects, scopes

WINDOW: Final = usage.WINDOW
_ALL: Final = 2**31 - 1

_READ: Final = f"""
WITH RECURSIVE held AS MATERIALIZED (
    SELECT g.id, g.agent_id, e.system_id, g.subjects_digest, g.version, g.state, g.starts_at, g.expires_at,
           g.request_id, @excluded AS excluded, e.scope, a.slug AS agent, y.slug AS system, y.kind,
           s.login AS sponsor, o.login AS owner
    FROM entitlements_grant g
    JOIN entitlements_entitlement e ON e.id = g.entitlement_id
    JOIN entitlements_system y ON y.id = e.system_id
    JOIN entitlements_agent a ON a.id = g.agent_id
    JOIN entitlements_person s ON s.id = a.sponsor_id
    LEFT JOIN entitlements_person o ON o.id = a.owner_id
    WHERE g.id IN (@scope)
), subject AS (
    SELECT h.id AS grant_id, array_agg(DISTINCT coalesce('person:' || p.login, 'group:' || u.slug)) AS subjects
    FROM held h JOIN entitlements_grantsubject n ON n.grant_id = h.id
    LEFT JOIN entitlements_person p ON p.id = n.person_id LEFT JOIN entitlements_group u ON u.id = n.group_id
    GROUP BY 1
), chain AS ({usage.chain("SELECT id, starts_at, request_id FROM held")}
), used AS (
    SELECT h.grant_id, u.tool_id, sum(u.calls) AS calls, sum(u.denied) AS denied, max(u.last_at) AS last
    FROM chain h JOIN ({usage.USED}) u ON u.grant_id = h.member GROUP BY 1, 2
), line AS (
    SELECT h.id AS grant_id, max(CASE WHEN (h.agent_id, t.id) IN (
               SELECT * FROM unnest(%(open_agents)s::bigint[], %(open_tools)s::bigint[])
           ) THEN %(violation)s ELSE array_position(%(risks)s::text[], t.risk::text) END) AS risk,
           array_agg(t.id ORDER BY t.name) AS tools, array_agg(t.approved_id ORDER BY t.name) AS versions,
           array_agg(l.limits ORDER BY t.name) AS limits, array_agg(u.calls ORDER BY t.name) AS calls,
           array_agg(u.denied ORDER BY t.name) AS denied, array_agg(u.last ORDER BY t.name) AS last_calls,
           jsonb_agg(jsonb_build_object('tool', t.name, 'risk', t.risk, 'limits', l.limits, 'definition', v.sha256)
                     ORDER BY t.name) AS line_details
    FROM held h JOIN entitlements_grantline l ON l.grant_id = h.id JOIN entitlements_tool t ON t.id = l.tool_id
    LEFT JOIN entitlements_toolversion v ON v.id = t.approved_id
    LEFT JOIN used u ON u.grant_id = h.id AND u.tool_id = l.tool_id
    GROUP BY 1
), item AS (
    SELECT agent_id, system_id, subjects_digest, gen_random_uuid() AS item_id, max(coalesce(risk, 4)) AS risk,
           CASE WHEN bool_and(excluded <> '') THEN min(excluded) ELSE '' END AS left_out,
           row_number() OVER (ORDER BY max(coalesce(risk, 4)) DESC, min(system), min(agent), subjects_digest) AS number
    FROM held LEFT JOIN line ON grant_id = id GROUP BY 1, 2, 3
)
INSERT INTO governance_snapshotrow (campaign_id, number, seq, item_id, grant_id, grant_version, agent_id, system_id,
    subjects_digest, subjects, risk, exclusion_reason, payload, usage_grade, tools, versions, limits, calls, denied,
    last_calls)
SELECT %(campaign)s, number, seq, item_id, id, version, agent_id, system_id, subjects_digest,
       coalesce(subjects, '{{}}'), (%(risks)s::text[])[item_risk], left_out, jsonb_build_object(
        'campaign', %(slug)s::text, 'grant', id, 'version', version, 'agent', agent, 'sponsor', sponsor,
        'owner', owner, 'system', system, 'entitlement', scope, 'subjects', to_jsonb(coalesce(subjects, '{{}}')),
        'state', state, 'request', request_id,
        'starts_at', to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'expires_at', to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'lines', coalesce(line_details, '[]'))::text,
       {usage.GRADE.format(kind="kind")}, coalesce(tools, '{{}}'), coalesce(versions, '{{}}'), coalesce(limits, '{{}}'),
       coalesce(calls, '{{}}'), coalesce(denied, '{{}}'), coalesce(last_calls, '{{}}')
FROM (
    SELECT h.*, i.item_id, i.number, i.left_out, i.risk AS item_risk, s.subjects, l.line_details, l.tools, l.versions,
           l.limits, l.calls, l.denied, l.last_calls, row_number() OVER (ORDER BY i.number, h.scope, h.id) AS seq
    FROM held h JOIN item i USING (agent_id, system_id, subjects_digest)
    LEFT JOIN line l ON l.grant_id = h.id LEFT JOIN subject s ON s.grant_id = h.id
) numbered ORDER BY seq
"""  # noqa: S608 - made of constants

_MOVE: Final = """
WITH taken AS (
    DELETE FROM governance_snapshotrow WHERE campaign_id = %(campaign)s AND number > %(after)s AND number <= %(upto)s
    RETURNING *
), item AS (
    INSERT INTO governance_reviewitem (id, campaign_id, number, agent_id, system_id, subjects_digest, subjects, risk,
                                       state, exclusion_reason)
    SELECT DISTINCT ON (number) item_id, campaign_id, number, agent_id, system_id, subjects_digest, subjects, risk,
           CASE exclusion_reason WHEN '' THEN 'in_review' ELSE 'excluded' END, exclusion_reason
    FROM taken ORDER BY number, seq
), line AS (
    INSERT INTO governance_reviewline (item_id, grant_id, tool_id, tool_version_id, limits, usage_grade, calls_window,
                                       denied_window, last_call_at)
    SELECT t.item_id, t.grant_id, l.tool, l.version, l.limits, t.usage_grade,
           CASE WHEN t.usage_grade = 'A' THEN coalesce(l.calls, 0) END,
           CASE WHEN t.usage_grade = 'A' THEN coalesce(l.denied, 0) END, CASE WHEN t.usage_grade = 'A' THEN l.last END
    FROM taken t, unnest(t.tools, t.versions, t.limits, t.calls, t.denied, t.last_calls)
        AS l (tool, version, limits, calls, denied, last)
    ORDER BY t.seq
)
INSERT INTO governance_populationrow (campaign_id, seq, item_id, grant_id, grant_version, payload, row_sha256)
SELECT campaign_id, seq, item_id, grant_id, grant_version, payload, encode(sha256(convert_to(payload, 'UTF8')), 'hex')
FROM taken ORDER BY seq
"""

_CARRY: Final = """
WITH now AS (
    SELECT i.id, i.agent_id, i.system_id, i.subjects_digest FROM governance_reviewitem i
    JOIN governance_suggestion s ON s.item_id = i.id AND s.verdict IN ('keep', 'unknown')
    WHERE i.campaign_id = %(campaign)s AND i.state = 'in_review' AND i.subject_kind = 'access'
      AND i.risk IN ('low', 'medium')
), before AS (
    SELECT DISTINCT ON (n.id) n.id, o.id AS old, d.id AS decision FROM now n
    JOIN governance_reviewitem o USING (agent_id, system_id, subjects_digest)
    JOIN governance_campaign c ON c.id = o.campaign_id AND c.state IN ('closing', 'closed', 'cancelled')
    JOIN governance_reviewdecision d ON d.id = o.current_decision_id
    WHERE o.id <> n.id AND o.subject_kind = 'access' AND d.verb = 'certify' AND d.decided_at > %(since)s
    ORDER BY n.id, d.decided_at DESC
)
UPDATE governance_reviewitem i SET state = 'carried_forward', carried_from_id = b.decision FROM before b
WHERE i.id = b.id AND NOT EXISTS (
    (SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.id
     EXCEPT SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.old)
    UNION ALL
    (SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.old
     EXCEPT SELECT grant_id, tool_id, tool_version_id, limits FROM governance_reviewline WHERE item_id = b.id))
"""


def take(campaign: Campaign, now: datetime) -> tuple[int, str]:
    """Take the whole population at once; returns the number of rows and the hash of all of them."""
    read(campaign, now)
    move(campaign)
    return digest(campaign)


def read(campaign: Campaign, now: datetime) -> int:
    """Read what is in scope at one moment; returns how many items it makes.

    Access is stored aside, and `move` makes items of it; other subjects, which are few, become items here.
    """
    if campaign.kind in other_subjects.KINDS:
        other_subjects.take(campaign, now)
        return ReviewItem.objects.filter(campaign=campaign).count()
    chosen, values = scopes.as_sql(scopes.matching(campaign.scope, campaign.kind, now), "scope")
    excluded, reasons = _excluded(campaign, now)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(
            _READ.replace("@scope", chosen).replace("@excluded", excluded),
            {**_parameters(campaign, now), **values, **reasons},
        )
    return SnapshotRow.objects.filter(campaign=campaign).aggregate(last=Max("number"))["last"] or 0


def move(campaign: Campaign, *, after: int = 0, upto: int | None = None) -> None:
    """Make items, rows and lines of what `read` stored, from number `after` (exclusive) to `upto`."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, {"campaign": campaign.pk, "after": after, "upto": _ALL if upto is None else upto})


def digest(campaign: Campaign) -> tuple[int, str]:
    """Return the number of rows of a population, and the hash of all of them."""
    rows = PopulationRow.objects.filter(campaign=campaign)
    hashes = rows.order_by("seq").values_list("row_sha256", flat=True)
    return rows.count(), review_rules.population_digest(cursors.in_parts(hashes))


def count(scope: Mapping[str, Any], kind: str, now: datetime) -> int:
    """Count the rows that a population would have now."""
    if kind in other_subjects.KINDS:
        return other_subjects.count(scope, kind, now)
    return scopes.matching(scope, kind, now).count()


def carry(campaign: Campaign, now: datetime) -> int:
    """Carry earlier answers forward to unchanged items, in a campaign of mode delta; returns how many.

    It does so for items of low or medium risk that have the same lines and no other suggestion than to keep. The
    answers come from closed reviews: until then a reviewer can recall them.
    """
    if campaign.mode != Campaign.Mode.DELTA:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_CARRY, {"campaign": campaign.pk, "since": now - timedelta(days=campaign.carry_days)})
        return int(cursor.rowcount)


def _excluded(campaign: Campaign, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return an SQL expression for the reason why a grant `g` is excluded, empty if it is not; and its parameters."""
    cases: list[str] = []
    values: dict[str, Any] = {}
    for number, exclusion in enumerate(campaign.scope.get("exclude", [])):
        rows = Grant.objects.filter(scopes.compiled(exclusion["where"], now))
        chosen, named = scopes.as_sql(rows, f"left{number}_")
        cases.append(f"WHEN g.id IN ({chosen}) THEN %(reason{number})s::text")
        values |= {**named, f"reason{number}": exclusion["reason"]}
    return (f"CASE {' '.join(cases)} ELSE '' END" if cases else "''"), values


def _parameters(campaign: Campaign, now: datetime) -> dict[str, Any]:
    return {
        "campaign": campaign.pk,
        "slug": campaign.slug,
        "now": now,
        "since": now - WINDOW,
        "risks": ["low", "medium", "high", "critical"],
        "gateway": usage.GATEWAY,
        "violation": violations.LEVEL.rank + 1,
        **violations.pairs(),
    }
