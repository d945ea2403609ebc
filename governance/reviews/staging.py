"""Taking the population of a campaign: items, rows and lines in one statement, so that one snapshot is seen.

The text that is hashed holds times in UTC with microseconds and Z: a timestamp printed by the database's own rule
depends on the session's time zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from entitlements.models import Grant
from governance import reviewing
from governance.models import Campaign, PopulationRow

from . import scoping, usage
from .kinds import population

WINDOW: Final = usage.WINDOW

_TAKE: Final = f"""
WITH RECURSIVE held AS MATERIALIZED (
    SELECT g.id, g.agent_id, e.system_id, g.subjects_digest, g.version, g.state, g.starts_at, g.expires_at,
           g.request_id, @excluded AS excluded, e.scope, a.slug AS agent, y.slug AS system, y.kind,
           s.login AS sponsor, o.login AS owner,
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
    WHERE g.id IN (@scope)
), item AS (
    INSERT INTO governance_reviewitem (id, campaign_id, number, agent_id, system_id, subjects_digest, subjects, risk,
                                       state, exclusion_reason)
    SELECT gen_random_uuid(), %(campaign)s,
           row_number() OVER (ORDER BY max(coalesce(risk, 4)) DESC, min(system), min(agent), subjects_digest),
           agent_id, system_id, subjects_digest,
           ARRAY(SELECT jsonb_array_elements_text(jsonb_agg(to_jsonb(subjects)) -> 0)),
           (%(risks)s::text[])[max(coalesce(risk, 4))],
           CASE WHEN bool_and(excluded <> '') THEN 'excluded' ELSE 'in_review' END,
           CASE WHEN bool_and(excluded <> '') THEN min(excluded) ELSE '' END
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
), chain AS ({usage.chain("SELECT id, starts_at, request_id FROM held")}
), used AS (
    SELECT h.grant_id, u.tool_id, sum(u.calls) AS calls, sum(u.denied) AS denied, max(u.last_at) AS last
    FROM chain h JOIN ({usage.USED}) u ON u.grant_id = h.member GROUP BY 1, 2
)
INSERT INTO governance_reviewline (item_id, grant_id, tool_id, tool_version_id, limits, usage_grade, calls_window,
                                   denied_window, last_call_at)
SELECT item, grant_id, tool_id, version, limits, grade, CASE WHEN grade = 'A' THEN coalesce(calls, 0) END,
       CASE WHEN grade = 'A' THEN coalesce(denied, 0) END, CASE WHEN grade = 'A' THEN last END
FROM (
    SELECT o.item, h.id AS grant_id, l.tool_id, l.version, l.limits, u.calls, u.denied, u.last,
           {usage.GRADE.format(kind="h.kind")} AS grade
    FROM held h JOIN told o ON o.grant_id = h.id
    CROSS JOIN LATERAL (SELECT n.tool_id, t.approved_id AS version, n.limits FROM entitlements_grantline n
        JOIN entitlements_tool t ON t.id = n.tool_id WHERE n.grant_id = h.id OFFSET 0) l
    LEFT JOIN used u ON u.grant_id = h.id AND u.tool_id = l.tool_id
) line
"""  # noqa: S608 - made of constants


_CARRY: Final = """
WITH now AS (
    SELECT i.id, i.agent_id, i.system_id, i.subjects_digest FROM governance_reviewitem i
    JOIN governance_suggestion s ON s.item_id = i.id AND s.verdict IN ('keep', 'unknown')
    WHERE i.campaign_id = %(campaign)s AND i.state = 'in_review' AND i.subject_kind = 'access'
      AND i.risk IN ('low', 'medium')
), before AS (
    SELECT DISTINCT ON (n.id) n.id, o.id AS old, d.id AS decision FROM now n
    JOIN governance_reviewitem o USING (agent_id, system_id, subjects_digest)
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
    """Take everything within the scope, and return how many rows that is and the hash of them all."""
    if campaign.kind in population.KINDS:
        population.take(campaign, now)
    else:
        _take_access(campaign, now)
    hashes = PopulationRow.objects.filter(campaign=campaign).order_by("seq").values_list("row_sha256", flat=True)
    digest = reviewing.population_digest(hashes.iterator())
    return PopulationRow.objects.filter(campaign=campaign).count(), digest


def count(scope: Mapping[str, Any], kind: str, now: datetime) -> int:
    """Count the rows that a population would have now."""
    if kind in population.KINDS:
        return population.count(scope, kind, now)
    return scoping.matching(scope, kind, now).count()


def _take_access(campaign: Campaign, now: datetime) -> None:
    chosen, values = scoping.as_sql(scoping.matching(campaign.scope, campaign.kind, now), "scope")
    excluded, reasons = _excluded(campaign, now)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(
            _TAKE.replace("@scope", chosen).replace("@excluded", excluded),
            {**_parameters(campaign, now), **values, **reasons},
        )


def carry(campaign: Campaign, now: datetime) -> int:
    """Carry the answers of a person forward to what has not changed since, where the campaign does so; says how many.

    Only what is of low or medium risk, has the same lines, and gives no reason for a closer look.
    """
    if campaign.mode != Campaign.Mode.DELTA:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_CARRY, {"campaign": campaign.pk, "since": now - timedelta(days=campaign.carry_days)})
        return int(cursor.rowcount)


def _excluded(campaign: Campaign, now: datetime) -> tuple[str, dict[str, Any]]:
    """Return an expression that gives the reason for which a grant `g` is left out, or an empty text."""
    cases: list[str] = []
    values: dict[str, Any] = {}
    for number, said in enumerate(campaign.scope.get("exclude", [])):
        rows = Grant.objects.filter(scoping.compiled(said["where"], now))
        chosen, named = scoping.as_sql(rows, f"left{number}_")
        cases.append(f"WHEN g.id IN ({chosen}) THEN %(reason{number})s::text")
        values |= {**named, f"reason{number}": said["reason"]}
    return (f"CASE {' '.join(cases)} ELSE '' END" if cases else "''"), values


def _parameters(campaign: Campaign, now: datetime) -> dict[str, Any]:
    return {
        "campaign": campaign.pk,
        "slug": campaign.slug,
        "now": now,
        "since": now - WINDOW,
        "risks": ["low", "medium", "high", "critical"],
        "gateway": usage.GATEWAY,
    }
