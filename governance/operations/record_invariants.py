"""Statements about the audit log: each finds what must not be."""

from __future__ import annotations

from typing import Final

from audit import bodies

ONE_EVENT_PER_OUTCOME: Final = """
WITH outcome (link, actions, since) AS (
    SELECT 'grant:' || id, ARRAY['grant.issued'], created_at FROM entitlements_grant
    UNION ALL SELECT 'grant:' || id, ARRAY['grant.revoked', 'grant.expired'], ended_at
      FROM entitlements_grant WHERE ended_at IS NOT NULL
    UNION ALL SELECT 'token:' || jti, ARRAY['token.issued'], issued_at FROM entitlements_issuedtoken
    UNION ALL SELECT 'revocation:' || id, ARRAY['revocation.committed'], committed_at FROM entitlements_revocation
    UNION ALL SELECT 'revocation:' || id, ARRAY['revocation.settled'], committed_at
      FROM entitlements_revocation WHERE receipt <> ''
    UNION ALL SELECT 'request:' || id, ARRAY['request.submitted'], asked_at FROM governance_accessrequest
    UNION ALL SELECT 'request:' || id,
           CASE state WHEN 'cancelled' THEN ARRAY['request.cancelled'] ELSE ARRAY['request.expired'] END, decided_at
      FROM governance_accessrequest WHERE state IN ('cancelled', 'expired')
    UNION ALL SELECT 'request:' || p.request_id || ' by ' || b.login, ARRAY['approval.given', 'approval.denied'],
           p.answered_at FROM governance_approval p JOIN entitlements_person b ON b.id = p.by_id
     WHERE p.answer IN ('approved', 'denied')
    UNION ALL SELECT 'decision:' || id, ARRAY['review.decided'], decided_at FROM governance_reviewdecision
)
SELECT o.link || ' has ' || found.count || ' of ' || array_to_string(o.actions, ' or ') FROM outcome o
CROSS JOIN LATERAL (
    SELECT count(*) FROM events e
     WHERE e.links @> ARRAY[split_part(o.link, ' by ', 1)] AND e.action = ANY(o.actions)
       AND (o.link NOT LIKE 'token:%%' OR 'token:' || coalesce(e.body::jsonb #>> '{detail,parent}', '') <> o.link)
       AND (o.link NOT LIKE '%% by %%' OR (e.body::jsonb ->> 'actor' = 'person:' || split_part(o.link, ' by ', 2)
            AND NOT EXISTS (SELECT FROM events x WHERE x.links @> ARRAY[split_part(o.link, ' by ', 1)]
                               AND x.action = 'request.edited' AND x.at > e.at)))
) AS found
WHERE o.since >= %(since)s AND found.count <> 1
UNION ALL
SELECT 'call ' || (w.body::jsonb #>> '{detail,evaluation}') || ' has ended ' || count(*) || ' times' FROM events w
 WHERE w.at >= %(since)s AND w.action IN ('call.finished', 'call.withdrawn', 'call.indeterminate')
 GROUP BY w.body::jsonb #>> '{detail,evaluation}' HAVING count(*) > 1
"""
RECORD_IS_WHOLE: Final = """
SELECT 'event ' || e.uuid || ' is neither sealed nor pending' FROM events e
 WHERE e.at >= %(since)s
   AND NOT EXISTS (SELECT FROM leaves l WHERE l.producer = e.producer AND l.sequence = e.sequence)
   AND NOT EXISTS (SELECT FROM pending p WHERE p.at = e.at AND p.uuid = e.uuid)
UNION ALL
SELECT 'pending ' || p.uuid || ' has no event, or is sealed already' FROM pending p
 WHERE NOT EXISTS (SELECT FROM events e WHERE e.at = p.at AND e.uuid = p.uuid)
    OR EXISTS (SELECT FROM leaves l WHERE l.producer = p.producer AND l.sequence = p.sequence)
UNION ALL
SELECT 'leaf ' || l.index || ' is not the hash of its event' FROM leaves l
  LEFT JOIN events e ON e.at = l.at AND e.uuid = l.uuid
 WHERE l.at >= %(since)s AND l.hash IS DISTINCT FROM sha256('\\x00'::bytea || convert_to(e.body, 'UTF8'))
UNION ALL
SELECT 'the leaves are ' || count(*) || ' and end at ' || max(index) FROM leaves HAVING max(index) + 1 <> count(*)
UNION ALL
SELECT 'the newest checkpoint is of ' || max(size) || ' events, the leaves are ' || (SELECT count(*) FROM leaves)
  FROM checkpoints HAVING max(size) <> (SELECT count(*) FROM leaves)
"""
COLUMNS_SAY_WHAT_BODIES_SAY: Final = """
SELECT 'event ' || e.uuid || ' has ' || wrong.what || ' that its body does not give it' FROM events e
  CROSS JOIN LATERAL (SELECT e.body::jsonb AS body OFFSET 0) AS parsed
  CROSS JOIN LATERAL (SELECT ARRAY(SELECT jsonb_array_elements_text(CASE jsonb_typeof(parsed.body -> 'links')
                               WHEN 'array' THEN parsed.body -> 'links' ELSE '[]' END)
    UNION SELECT parsed.body ->> 'actor' WHERE parsed.body ->> 'actor' <> 'system:mandate'
    UNION SELECT parsed.body ->> 'on_behalf_of'
     WHERE parsed.body ->> 'on_behalf_of' IS NOT NULL AND parsed.body ->> 'on_behalf_of' <> 'system:mandate'
    UNION SELECT 'session:' || (parsed.body ->> 'session') WHERE parsed.body ->> 'session' <> ''
  ) AS links) AS given
  CROSS JOIN LATERAL (VALUES
    ('an action', e.action = parsed.body ->> 'action'),
    ('links', e.links @> given.links AND e.links <@ given.links),
    ('a trace', e.trace = parsed.body ->> 'trace'),
    ('a time', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') = parsed.body ->> 'at'),
    ('a number', e.uuid::text = parsed.body ->> 'uuid' AND e.producer::text = parsed.body ->> 'producer'
                 AND e.sequence::text = parsed.body ->> 'sequence')
  ) AS wrong (what, agrees)
 WHERE e.at >= %(since)s AND wrong.agrees IS NOT TRUE
"""
RECORD_IS_SEALED_IN_TIME: Final = """
SELECT count(*) || ' events wait to be sealed, the oldest since ' || min(at) FROM pending
HAVING min(at) < %(now)s - interval '30 seconds'
"""
STOPS_ARE_KEPT_OUTSIDE: Final = """
SELECT count(*) || ' stops are not in every anchor, the oldest since ' || min(at) FROM stops WHERE kept_at IS NULL
HAVING min(at) < %(now)s - interval '1 minute'
"""
EVENTS_HAVE_MONTHS: Final = """
SELECT 'there is no partition for the events of ' || to_char(month, 'YYYY-MM')
  FROM generate_series(1, 2) AS ahead,
       LATERAL (SELECT date_trunc('month', %(now)s AT TIME ZONE 'UTC') + make_interval(months => ahead)) AS m (month)
 WHERE to_regclass('events_' || to_char(month, 'YYYY_MM')) IS NULL
"""
RECORD_HOLDS_NO_NUL: Final = f"""
SELECT 'event ' || e.uuid || ' of ' || e.at || ' (' || e.action || ') holds NUL, which jsonb refuses' FROM events e
 WHERE e.at >= %(since)s AND {bodies.holds_nul("e.body")} ORDER BY e.at
"""  # noqa: S608 - made of constants
