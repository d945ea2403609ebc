"""What one request left behind: events, counted strangers, claims, tokens, sessions, codes, notes of the feed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from audit import clock

_MARKS: Final = """
SELECT (SELECT coalesce(max(id), 0) FROM entitlements_usedassertion),
       (SELECT coalesce(max(id), 0) FROM entitlements_change),
       (SELECT count(*) FROM entitlements_authorizationcode),
       (SELECT count(*) FROM entitlements_oauthaccesstoken),
       (SELECT count(*) FROM entitlements_oauthaccesstoken WHERE expires > %(at)s),
       (SELECT count(*) FROM entitlements_oauthidtoken),
       (SELECT coalesce(json_object_agg(kind || ' from ' || source, count), '{}')::text
          FROM (SELECT kind, source, sum(count) AS count FROM stranger_counts GROUP BY 1, 2) s)
"""
_ROWS: Final = """
SELECT json_build_object(
  'events', (SELECT json_agg(body ORDER BY sequence) FROM events WHERE at > %(since)s),
  'issued', (SELECT json_agg(json_build_object(
       'kind', t.kind, 'jti', t.jti, 'system', y.slug, 'client', c.identifier, 'agent', a.slug, 'person', p.login,
       'session', t.session_id, 'scope', t.scope, 'parent', t.parent, 'trace', t.trace,
       'seconds', extract(epoch FROM t.expires_at - t.issued_at)::float8,
       'grants', (SELECT json_agg(g.grant_id ORDER BY e.scope) FROM entitlements_tokengrant g
                    JOIN entitlements_grant r ON r.id = g.grant_id JOIN entitlements_entitlement e
                      ON e.id = r.entitlement_id WHERE g.token_id = t.jti)))
     FROM entitlements_issuedtoken t JOIN entitlements_system y ON y.id = t.system_id
     JOIN entitlements_client c ON c.id = t.client_id LEFT JOIN entitlements_agent a ON a.id = t.agent_id
     LEFT JOIN entitlements_person p ON p.id = t.person_id WHERE t.issued_at > %(since)s),
  'revoked', (SELECT json_agg(json_build_object('jti', jti, 'reason', revoke_reason) ORDER BY kind, jti)
     FROM entitlements_issuedtoken WHERE revoked_at > %(since)s),
  'sessions begun', (SELECT json_agg(json_build_object('id', s.id, 'client', c.identifier, 'person', p.login,
       'auth_time', extract(epoch FROM s.auth_time)::bigint, 'idle', s.idle_seconds,
       'lasts', extract(epoch FROM s.expires_at - s.started_at)::bigint))
     FROM entitlements_session s JOIN entitlements_client c ON c.id = s.client_id
     LEFT JOIN entitlements_person p ON p.id = s.person_id WHERE s.started_at > %(since)s),
  'sessions ended', (SELECT json_agg(id) FROM entitlements_session WHERE ended_at > %(since)s),
  'sessions used', (SELECT json_agg(id) FROM entitlements_session
     WHERE last_used_at > %(since)s AND started_at <= %(since)s),
  'claimed', (SELECT json_agg(json_build_object('issuer', issuer, 'jti', jti,
       'until', extract(epoch FROM expires_at)::bigint) ORDER BY id)
     FROM entitlements_usedassertion WHERE id > %(claims)s),
  'noted', (SELECT json_agg(kind ORDER BY id) FROM entitlements_change WHERE id > %(changes)s)
)::text
"""
_KEPT: Final = ("action", "outcome", "code", "actor", "on_behalf_of", "reason", "trace", "request_id", "source")
_MORE: Final = ("session", "links", "detail")


@dataclass(frozen=True, slots=True)
class Marks:
    """How things stood before the request."""

    at: datetime
    claims: int
    changes: int
    codes: int
    opaque: int
    living: int
    id_tokens: int
    strangers: Mapping[str, int]


def marks() -> Marks:
    """Note how things stand now."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(_MARKS, {"at": now})
        row = cursor.fetchone()
    assert row is not None
    claims, changes, codes, opaque, living, id_tokens, strangers = row
    return Marks(now, claims, changes, codes, opaque, living, id_tokens, json.loads(strangers))


def since(before: Marks) -> dict[str, Any]:
    """Return what is there now and was not before; what is empty is left out."""
    after = marks()
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"since": before.at, "claims": before.claims, "changes": before.changes})
        row = cursor.fetchone()
    assert row is not None
    left: dict[str, Any] = {name: rows for name, rows in json.loads(row[0]).items() if rows}
    if "events" in left:
        left["events"] = [_event(json.loads(body)) for body in left["events"]]
    counts = {
        "strangers": {
            kind: count - before.strangers.get(kind, 0)
            for kind, count in after.strangers.items()
            if count != before.strangers.get(kind, 0)
        },
        "codes": after.codes - before.codes,
        "opaque tokens": after.opaque - before.opaque,
        "opaque tokens alive": after.living - before.living,
        "id tokens": after.id_tokens - before.id_tokens,
    }
    return {**left, **{name: count for name, count in counts.items() if count}}


def _event(parsed: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: parsed[name] for name in (*_KEPT, *_MORE) if parsed.get(name)}
    return {**kept, "uuid": parsed["uuid"]} if parsed["outcome"] == "refused" else kept
