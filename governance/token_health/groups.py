"""Count what clients fetch for their agents, for the findings: in one statement, as the worker does now and then."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection, transaction

from audit import clock
from entitlements import addresses
from entitlements.tokens.models import IssuedToken
from governance.reviews.usage import usage
from governance.token_health import rules
from governance.token_health.models import TokenGroup

_COUNT: Final = """
INSERT INTO governance_tokengroup AS o
       (agent_id, client_id, system_id, tokens, unbound, opened, used, privileged, counted_at)
SELECT f.agent_id, f.client_id, f.system_id, f.tokens, f.unbound, w.opened,
       CASE WHEN f.is_seen THEN w.used END, w.privileged, %(now)s
FROM (
    SELECT k.agent_id, k.client_id, k.system_id, count(*) AS tokens, count(*) FILTER (WHERE k.jkt = '') AS unbound,
           string_to_array(string_agg(DISTINCT k.scope, ' '), ' ') AS scopes, y.slug = %(all)s AS is_all,
           y.kind = ANY(%(gateway)s) OR y.slug = %(all)s AS is_seen
    FROM entitlements_issuedtoken k JOIN entitlements_system y ON y.id = k.system_id
    WHERE k.issued_at >= %(recent)s AND k.kind = %(kind)s
    GROUP BY k.agent_id, k.client_id, k.system_id, y.slug, y.kind
) f CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE x.used OR x.is_settled) AS opened, count(*) FILTER (WHERE x.used) AS used,
           count(*) FILTER (WHERE x.risk = ANY(%(privileged)s)) AS privileged
    FROM (
        SELECT l.tool_id, t.risk, min(g.starts_at) <= %(settled)s AS is_settled,
               EXISTS (SELECT FROM governance_usageday d WHERE d.agent_id = f.agent_id AND d.tool_id = l.tool_id
                       AND d.day >= %(since)s AND d.calls > 0) AS used
        FROM entitlements_grant g
        JOIN entitlements_entitlement e ON e.id = g.entitlement_id AND e.enabled
            AND (f.is_all OR e.system_id = f.system_id AND e.scope = ANY(f.scopes))
        JOIN entitlements_grantline l ON l.grant_id = g.id JOIN entitlements_tool t ON t.id = l.tool_id
        WHERE g.agent_id = f.agent_id AND g.ended_at IS NULL AND g.state = 'active' AND g.expires_at > %(now)s
        GROUP BY l.tool_id, t.risk
    ) x
) w
ORDER BY f.client_id, f.agent_id, f.system_id
ON CONFLICT (client_id, agent_id, system_id) DO UPDATE SET
    tokens = excluded.tokens, unbound = excluded.unbound, opened = excluded.opened, used = excluded.used,
    privileged = excluded.privileged, counted_at = excluded.counted_at
"""


@transaction.atomic
def count() -> int:
    """Count the tokens of the last week anew; returns how many groups there are. Two at once wait for each other."""
    now = clock.now()
    values: dict[str, Any] = {
        "now": now,
        "recent": now - rules.RECENT,
        "settled": now - rules.SETTLED,
        "since": (now - usage.WINDOW).date(),
        "kind": IssuedToken.Kind.ACCESS_TOKEN.value,
        "privileged": list(rules.PRIVILEGED),
        "all": addresses.ALL,
        "gateway": usage.GATEWAY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        counted: int = cursor.rowcount
    TokenGroup.objects.filter(counted_at__lt=now).delete()
    return counted
