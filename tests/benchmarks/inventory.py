"""What the worker computes of each agent for the inventory, for a whole fleet in one statement.

The worker takes some minutes for 100,000 agents, a few thousand a minute. A fleet has no reviews and no SoD violations.
`tests/scripts/test_fleet.py` compares the rows with those that the worker computes.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

_FILL: Final = """
WITH reach AS (
    SELECT g.id, g.agent_id, CASE WHEN count(p.person_id) = 0 OR count(p.person_id) > 25 THEN 4.0
                                  WHEN count(p.person_id) = 1 THEN 1.0 ELSE 2.0 END AS factor
      FROM entitlements_grant g LEFT JOIN entitlements_grantsubject s ON s.grant_id = g.id
      LEFT JOIN LATERAL (SELECT s.person_id WHERE s.person_id IS NOT NULL UNION ALL
                         SELECT m.person_id FROM entitlements_membership m WHERE m.group_id = s.group_id) p ON true
     WHERE g.ended_at IS NULL AND g.expires_at > now() GROUP BY g.id
), held AS (
    SELECT r.agent_id, count(DISTINCT r.id) AS grants, count(DISTINCT l.tool_id) AS tools,
           count(DISTINCT l.tool_id) FILTER (WHERE t.risk IN ('high', 'critical')) AS privileged,
           count(DISTINCT l.tool_id) FILTER (WHERE t.state = 'quarantined' OR t.seen_id <> t.approved_id
                                             OR t.approved_id IS NULL) AS changed,
           sum(r.factor * CASE t.action WHEN 'read' THEN 1.0 WHEN 'write' THEN 4.0 ELSE 8.0 END
               * CASE t.data_class WHEN 'public' THEN 0.2 WHEN 'internal' THEN 1.0 WHEN 'confidential' THEN 3.0
                      ELSE 6.0 END) AS weight
      FROM reach r JOIN entitlements_grantline l ON l.grant_id = r.id JOIN entitlements_tool t ON t.id = l.tool_id
     GROUP BY r.agent_id
), served AS (
    SELECT g.agent_id, count(DISTINCT coalesce(s.person_id, m.person_id)) AS people
      FROM entitlements_grant g JOIN entitlements_grantsubject s ON s.grant_id = g.id
      LEFT JOIN entitlements_membership m ON m.group_id = s.group_id
     WHERE g.ended_at IS NULL AND g.expires_at > now() GROUP BY g.agent_id
), used AS (
    SELECT agent_id, max(at) AS at FROM (
        SELECT agent_id, last_used_at AS at FROM entitlements_session
        UNION ALL SELECT agent_id, issued_at FROM entitlements_issuedtoken) AS uses GROUP BY agent_id
), weighed AS (
    SELECT a.id, coalesce(h.weight * CASE WHEN a.kind IN ('personal', 'shared') THEN 1.0 ELSE 1.5 END, 0) AS weight
      FROM entitlements_agent a LEFT JOIN held h ON h.agent_id = a.id
)
INSERT INTO governance_agentsummary (agent_id, blast_radius, weight, biggest, grants, tools, privileged, people,
    sod_violations, changed_tools, old_secrets, last_used_at, computed_at)
SELECT w.id, least(100, round(22 * log(1 + w.weight))), w.weight, '[]', coalesce(h.grants, 0), coalesce(h.tools, 0),
       coalesce(h.privileged, 0), coalesce(s.people, 0), 0, coalesce(h.changed, 0), 0, u.at, now()
  FROM weighed w LEFT JOIN held h ON h.agent_id = w.id LEFT JOIN served s ON s.agent_id = w.id
  LEFT JOIN used u ON u.agent_id = w.id ON CONFLICT DO NOTHING
"""


def fill() -> None:
    """Store the rows of all agents that have none."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(_FILL)
