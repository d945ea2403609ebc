"""Taking the population of a campaign: items, rows and lines in one statement, so that one snapshot is seen.

The text that is hashed holds times in UTC with microseconds and Z: a timestamp printed by the database's own rule
depends on the session's time zone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection

from governance import reviewing
from governance.models import Campaign, PopulationRow

from . import usage

WINDOW: Final = usage.WINDOW

_TAKE: Final = f"""
WITH held AS MATERIALIZED (
    SELECT g.id, g.agent_id, e.system_id, g.subjects_digest, g.version, g.state, g.starts_at, g.expires_at,
           g.request_id, e.scope, a.slug AS agent, y.slug AS system, y.kind, s.login AS sponsor, o.login AS owner,
           (SELECT max(array_position(%(risks)s::text[], t.risk::text)) FROM entitlements_grantline l
              JOIN entitlements_tool t ON t.id = l.tool_id WHERE l.grant_id = g.id) AS risk,
           (SELECT coalesce(array_agg(DISTINCT coalesce('person:' || p.login, 'group:' || u.slug)), '{{}}')
              FROM entitlements_grantsubject n LEFT JOIN entitlements_person p ON p.id = n.person_id
              LEFT JOIN entitlements_group u ON u.id = n.group_id WHERE n.grant_id = g.id) AS subjects
    FROM entitlements_grant g
    JOIN entitlements_entitlement e ON e.id = g.entitlement_id
    JOIN entitlements_system y ON y.id = e.system_id
    JOIN entitlements_agent a ON a.id = g.agent_id
    JOIN entitlements_person s ON s.id = a.sponsor_id
    LEFT JOIN entitlements_person o ON o.id = a.owner_id
    WHERE g.ended_at IS NULL AND g.expires_at > %(now)s
      AND (%(systems)s::text[] IS NULL OR y.slug = ANY(%(systems)s))
      AND (%(agents)s::text[] IS NULL OR a.slug = ANY(%(agents)s))
), item AS (
    INSERT INTO governance_reviewitem (id, campaign_id, number, agent_id, system_id, subjects_digest, subjects, risk,
                                       state, exclusion_reason)
    SELECT gen_random_uuid(), %(campaign)s,
           row_number() OVER (ORDER BY max(coalesce(risk, 4)) DESC, min(system), min(agent), subjects_digest),
           agent_id, system_id, subjects_digest,
           ARRAY(SELECT jsonb_array_elements_text(jsonb_agg(to_jsonb(subjects)) -> 0)),
           (%(risks)s::text[])[max(coalesce(risk, 4))], 'in_review', ''
    FROM held GROUP BY agent_id, system_id, subjects_digest
    RETURNING id, number, agent_id, system_id, subjects_digest
), told AS (
    SELECT i.id AS item, i.number, h.id AS grant_id, h.version, h.scope, jsonb_build_object(
        'campaign', %(slug)s::text, 'grant', h.id, 'version', h.version, 'agent', h.agent, 'sponsor', h.sponsor,
        'owner', h.owner, 'system', h.system, 'entitlement', h.scope, 'subjects', to_jsonb(h.subjects),
        'state', h.state, 'request', h.request_id,
        'starts_at', to_char(h.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'expires_at', to_char(h.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object('tool', t.name, 'risk', t.risk, 'limits', l.limits,
                         'definition', v.sha256) ORDER BY t.name), '[]')
                    FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id
                    LEFT JOIN entitlements_toolversion v ON v.id = t.approved_id WHERE l.grant_id = h.id)
        )::text AS payload
    FROM held h JOIN item i USING (agent_id, system_id, subjects_digest)
), taken AS (
    INSERT INTO governance_populationrow (campaign_id, seq, item_id, grant_id, grant_version, payload, row_sha256)
    SELECT %(campaign)s, row_number() OVER (ORDER BY number, scope, grant_id), item, grant_id, version, payload,
           encode(sha256(convert_to(payload, 'UTF8')), 'hex')
    FROM told
), used AS (
    SELECT grant_id, tool_id, sum(calls) AS calls, sum(denied) AS denied, max(last_at) AS last
    FROM ({usage.USED}) c WHERE grant_id IN (SELECT id FROM held) GROUP BY 1, 2
)
INSERT INTO governance_reviewline (item_id, grant_id, tool_id, tool_version_id, limits, usage_grade, calls_window,
                                   denied_window, last_call_at)
SELECT item, grant_id, tool_id, version, limits, grade, CASE WHEN grade = 'A' THEN coalesce(calls, 0) END,
       CASE WHEN grade = 'A' THEN coalesce(denied, 0) END, CASE WHEN grade = 'A' THEN last END
FROM (
    SELECT o.item, h.id AS grant_id, t.id AS tool_id, t.approved_id AS version, l.limits, u.calls, u.denied, u.last,
           {usage.GRADE.format(kind="h.kind")} AS grade
    FROM held h JOIN told o ON o.grant_id = h.id
    JOIN entitlements_grantline l ON l.grant_id = h.id
    JOIN entitlements_tool t ON t.id = l.tool_id
    LEFT JOIN used u ON u.grant_id = h.id AND u.tool_id = t.id
) line
"""  # noqa: S608 - made of constants


def take(campaign: Campaign, now: datetime) -> tuple[int, str]:
    """Take everything in force within the scope, and return how many grants that is and the hash of them all."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, _parameters(campaign, now))
    hashes = PopulationRow.objects.filter(campaign=campaign).order_by("seq").values_list("row_sha256", flat=True)
    digest = reviewing.population_digest(hashes.iterator())
    return PopulationRow.objects.filter(campaign=campaign).count(), digest


def _parameters(campaign: Campaign, now: datetime) -> dict[str, Any]:
    return {
        "campaign": campaign.pk,
        "slug": campaign.slug,
        "now": now,
        "since": now - WINDOW,
        "risks": ["low", "medium", "high", "critical"],
        "gateway": usage.GATEWAY,
        "systems": campaign.scope.get("systems"),
        "agents": campaign.scope.get("agents"),
    }
