"""Count the calls that observing guardrails would have changed: the audit log is read into one row by version and day.

The cursor moves in the transaction that adds the calls up, so a worker that is killed neither loses nor doubles one.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from audit import bodies, stream

CURSOR: Final = "guardrails"
AT_ONCE: Final = 20_000
_ADD: Final = f"""
INSERT INTO governance_observedcalls AS o (version, day, agent, tool, person, calls)
SELECT (g.said ->> 'version')::int, (v.at AT TIME ZONE 'UTC')::date, substr(b.body ->> 'actor', 7), n.tool,
       coalesce(substr(b.body ->> 'on_behalf_of', 8), ''), count(*)
FROM (SELECT * FROM {stream.LEAVES} e WHERE e.action IN ('call.allowed', 'call.denied')
         AND EXISTS (SELECT FROM unnest(e.links) link WHERE starts_with(link, 'guardrail:')) OFFSET 0) v
CROSS JOIN LATERAL (SELECT {bodies.as_jsonb("v.body")} AS body) b
CROSS JOIN LATERAL (SELECT max(substr(x, 6)) AS tool FROM unnest(v.links) x WHERE starts_with(x, 'tool:')) n
CROSS JOIN LATERAL jsonb_path_query(b.body, 'strict $.detail.guardrails[*]', silent => true) AS g (said)
WHERE g.said ->> 'mode' = 'observe' AND g.said ->> 'version' ~ '^[0-9]{{1,9}}$'
  AND n.tool IS NOT NULL AND starts_with(b.body ->> 'actor', 'agent:')
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (version, day, agent, tool, person) DO UPDATE SET calls = o.calls + excluded.calls
"""  # noqa: S608 - made of constants


def roll_up(limit: int = AT_ONCE) -> int:
    """Add up what the next sealed events say; says how many were passed."""
    with stream.consume(CURSOR, limit) as leaves, connection.cursor() as cursor:
        if leaves:
            cursor.execute(_ADD, stream.bounds(leaves))
    return len(leaves)
