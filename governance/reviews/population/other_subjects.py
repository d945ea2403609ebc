"""The population of reviews of other subjects than access: items, rows and lines in one statement.

Each kind of subject is one SELECT of what exists now, with the same columns; its payload is frozen and hashed.
`holder_first`: the holder is the first reviewer. Times are written in UTC, as for access.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import connection

from entitlements.access import role_reach
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import violations
from governance.reviews.items.errors import BadScope
from governance.reviews.population import scopes
from governance.reviews.usage import usage

_AT: Final = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_RISK: Final = "array_position(%(risks)s::text[], t.risk::text)"
_NO_GRANT: Final = "NULL::uuid AS grant_id, NULL::int AS version, NULL::bigint AS person_id"
_NO_SUBJECTS: Final = "'{}'::text[] AS subjects, '' AS digest"

_DELEGATION: Final = f"""
SELECT 'delegation' AS kind, a.slug || ':' || y.slug || ':' || p.login AS key, a.name || ': ' || p.name AS label,
       a.id AS agent_id, y.id AS system_id, p.id AS holder_id, p.is_active AS holder_first,
       coalesce((SELECT max(CASE WHEN (a.id, t.id) IN (
                         SELECT * FROM unnest(%(open_agents)s::bigint[], %(open_tools)s::bigint[])
                     ) THEN %(violation)s ELSE {_RISK} END)
                 FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id
                 WHERE l.grant_id = g.id), 4) AS risk,
       g.id AS grant_id, g.version, p.id AS person_id, ARRAY['person:' || p.login] AS subjects,
       encode(sha256(convert_to('person:' || p.login, 'UTF8')), 'hex') AS digest,
       jsonb_build_object('agent', a.slug, 'sponsor', s.login, 'system', y.slug, 'person', p.login,
           'entitlement', e.scope, 'grant', g.id, 'version', g.version, 'state', g.state,
           'expires_at', {_AT.format("g.expires_at")},
           'others', (SELECT count(*) - 1 FROM entitlements_grantsubject o WHERE o.grant_id = g.id),
           'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object('tool', t.name, 'risk', t.risk, 'limits', l.limits)
                         ORDER BY t.name), '[]')
                     FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id
                     WHERE l.grant_id = g.id)) AS detail
FROM entitlements_grant g JOIN entitlements_grantsubject n ON n.grant_id = g.id
JOIN entitlements_person p ON p.id = n.person_id JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_person s ON s.id = a.sponsor_id JOIN entitlements_entitlement e ON e.id = g.entitlement_id
JOIN entitlements_system y ON y.id = e.system_id WHERE g.id IN (@scope)
"""  # noqa: S608 - made of constants

_AGENT: Final = f"""
SELECT 'agent' AS kind, a.slug AS key, a.name AS label, a.id AS agent_id, NULL::bigint AS system_id,
       NULL::bigint AS holder_id, false AS holder_first,
       coalesce((SELECT max({_RISK}) FROM entitlements_grant g JOIN entitlements_grantline l ON l.grant_id = g.id
                 JOIN entitlements_tool t ON t.id = l.tool_id
                 WHERE g.agent_id = a.id AND g.ended_at IS NULL), 1) AS risk,
       {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('agent', a.slug, 'purpose', a.purpose, 'agent_kind', a.kind, 'state', a.status,
           'sponsor', s.login, 'owner', o.login, 'backup', b.login, 'registered_at', {_AT.format("a.created_at")},
           'grants', (SELECT count(*) FROM entitlements_grant g WHERE g.agent_id = a.id AND g.ended_at IS NULL),
           'last_token_at', (SELECT {_AT.format("max(k.issued_at)")} FROM entitlements_issuedtoken k
                             WHERE k.agent_id = a.id)) AS detail
FROM entitlements_agent a JOIN entitlements_person s ON s.id = a.sponsor_id
LEFT JOIN entitlements_person o ON o.id = a.owner_id LEFT JOIN entitlements_person b ON b.id = a.backup_id
WHERE a.id IN (@scope)
"""  # noqa: S608 - made of constants

_CLIENT: Final = f"""
SELECT 'client' AS kind, c.identifier AS key, c.identifier AS label, a.id AS agent_id, NULL::bigint AS system_id,
       o.id AS holder_id, coalesce(o.is_active, false) AS holder_first,
       CASE c.auth WHEN 'client_secret_basic' THEN 3 WHEN 'private_key_jwt' THEN 2 ELSE 1 END AS risk,
       {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('client', c.identifier, 'agent', a.slug, 'sponsor', s.login, 'owner', o.login, 'auth', c.auth,
           'state', c.status, 'scopes', c.api_scopes, 'made_at', {_AT.format("c.created")},
           'changed_at', {_AT.format("c.credential_made_at")},
           'refresh_tokens', (SELECT count(*) FROM entitlements_tokenfamily r
                              WHERE r.client_id = c.id AND r.ended_at IS NULL AND r.expires_at > %(now)s),
           'last_token_at', (SELECT {_AT.format("max(k.issued_at)")} FROM entitlements_issuedtoken k
                             WHERE k.client_id = c.id)) AS detail
FROM entitlements_client c LEFT JOIN entitlements_agent a ON a.id = c.agent_id
LEFT JOIN entitlements_person s ON s.id = a.sponsor_id LEFT JOIN entitlements_person o ON o.id = a.owner_id
WHERE c.status = 'active' AND (a.id IN (@scope) OR a.id IS NULL AND %(everything)s)
  AND (c.auth <> 'none' OR EXISTS (SELECT FROM entitlements_tokenfamily r
                                   WHERE r.client_id = c.id AND r.ended_at IS NULL AND r.expires_at > %(now)s))
"""  # noqa: S608 - made of constants

_TOKEN: Final = f"""
SELECT 'api_token' AS kind, k.id::text AS key, p.name || ': ' || k.label AS label, NULL::bigint AS agent_id,
       NULL::bigint AS system_id, p.id AS holder_id, %(holder_first)s AND p.is_active AS holder_first,
       CASE WHEN EXISTS (SELECT FROM entitlements_roleassignment r WHERE r.person_id = p.id
            AND r.role IN ('admin', 'security') AND (r.expires_at IS NULL OR r.expires_at > %(now)s))
            THEN 3 ELSE 2 END AS risk,
       {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('token', k.id, 'label', k.label, 'person', p.login, 'manager', m.login,
           'made_at', {_AT.format("k.created_at")}, 'expires_at', {_AT.format("k.expires_at")}) AS detail
FROM entitlements_apitoken k JOIN entitlements_person p ON p.id = k.person_id
LEFT JOIN entitlements_person m ON m.id = p.manager_id
WHERE k.revoked_at IS NULL AND k.expires_at > %(now)s AND %(everything)s
"""  # noqa: S608 - made of constants

_UPSTREAM: Final = f"""
SELECT 'upstream_secret' AS kind, y.slug || ':' || x.fingerprint AS key, y.name AS label, NULL::bigint AS agent_id,
       y.id AS system_id, o.id AS holder_id, coalesce(o.is_active, false) AS holder_first,
       greatest(3, (SELECT max({_RISK}) FROM entitlements_tool t WHERE t.system_id = y.id AND t.state = 'approved'))
           AS risk,
       {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('system', y.slug, 'owner', o.login, 'sent_as', x.kind, 'header', x.header,
           'fingerprint', x.fingerprint, 'changed_at', {_AT.format("x.changed_at")},
           'last_call_at', (SELECT {_AT.format("max(d.last_at)")} FROM entitlements_tool t
                            JOIN governance_usageday d ON d.tool_id = t.id WHERE t.system_id = y.id)) AS detail
FROM (SELECT system_id, kind, header, fingerprint, changed_at FROM entitlements_secret WHERE withheld_at IS NULL
      UNION ALL SELECT system_id, 'client_certificate', '', fingerprint, changed_at FROM entitlements_clientcertificate
     ) x JOIN entitlements_system y ON y.id = x.system_id
LEFT JOIN entitlements_person o ON o.id = y.owner_id
WHERE (%(systems)s::text[] IS NULL OR y.slug = ANY(%(systems)s))
  AND (%(everything)s OR %(by_system)s OR EXISTS (
      SELECT FROM entitlements_grant g JOIN entitlements_entitlement e ON e.id = g.entitlement_id
      WHERE e.system_id = y.id AND g.ended_at IS NULL AND g.agent_id IN (@scope)))
"""  # noqa: S608 - made of constants

_ROLE: Final = f"""
SELECT 'role' AS kind, p.login || ':' || r.role AS key, p.name || ': ' || r.role AS label, NULL::bigint AS agent_id,
       NULL::bigint AS system_id, p.id AS holder_id, false AS holder_first,
       CASE WHEN r.role IN ('admin', 'security') THEN 3 ELSE 2 END AS risk, {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('person', p.login, 'role', r.role, 'manager', m.login, 'active', p.is_active,
           'since', {_AT.format("r.created_at")}, 'expires_at', {_AT.format("r.expires_at")},
           'mapping', r.mapped_by_id, 'group', g.value) AS detail
FROM entitlements_roleassignment r JOIN entitlements_person p ON p.id = r.person_id
LEFT JOIN entitlements_person m ON m.id = p.manager_id LEFT JOIN entitlements_rolemapping g ON g.id = r.mapped_by_id
WHERE r.expires_at IS NULL OR r.expires_at > %(now)s
"""  # noqa: S608 - made of constants

_ENTITLEMENT: Final = f"""
SELECT 'entitlement' AS kind, e.scope AS key, e.name AS label, NULL::bigint AS agent_id, y.id AS system_id,
       NULL::bigint AS holder_id, false AS holder_first,
       coalesce((SELECT max({_RISK}) FROM entitlements_entitlementtool l JOIN entitlements_tool t ON t.id = l.tool_id
                 WHERE l.entitlement_id = e.id), 1) AS risk,
       {_NO_GRANT}, {_NO_SUBJECTS},
       jsonb_build_object('entitlement', e.scope, 'sentence', e.sentence, 'system', y.slug, 'owner', o.login,
           'rule', e.rule, 'longest_seconds', extract(epoch FROM e.longest)::bigint, 'version', e.version,
           'grants', (SELECT count(*) FROM entitlements_grant g WHERE g.entitlement_id = e.id AND g.ended_at IS NULL),
           'lines', (SELECT coalesce(jsonb_agg(jsonb_build_object('tool', t.name, 'risk', t.risk, 'limits', l.limits)
                         ORDER BY t.name), '[]')
                     FROM entitlements_entitlementtool l JOIN entitlements_tool t ON t.id = l.tool_id
                     WHERE l.entitlement_id = e.id)) AS detail
FROM entitlements_entitlement e JOIN entitlements_system y ON y.id = e.system_id
LEFT JOIN entitlements_person o ON o.id = y.owner_id WHERE e.id IN (@scope)
"""  # noqa: S608 - made of constants

_LINES: Final[Mapping[str, str]] = {
    Campaign.Kind.DELEGATION: """
    SELECT f.item, f.grant_id, t.id AS tool_id, t.approved_id, l.limits, y.kind,
           f.grant_id AS under, NULL::bigint AS bundle FROM fact f
    JOIN entitlements_grantline l ON l.grant_id = f.grant_id JOIN entitlements_tool t ON t.id = l.tool_id
    JOIN entitlements_system y ON y.id = t.system_id""",
    Campaign.Kind.ENTITLEMENT_DEFINITION: """
    SELECT f.item, NULL::uuid AS grant_id, t.id AS tool_id, t.approved_id, l.limits, y.kind,
           NULL::uuid AS under, e.id AS bundle FROM fact f
    JOIN entitlements_entitlement e ON e.scope = f.key JOIN entitlements_entitlementtool l ON l.entitlement_id = e.id
    JOIN entitlements_tool t ON t.id = l.tool_id JOIN entitlements_system y ON y.id = t.system_id""",
}
_NO_LINES: Final = """
    SELECT NULL::uuid AS item, NULL::uuid AS grant_id, NULL::bigint AS tool_id, NULL::bigint AS approved_id,
           '{}'::jsonb AS limits, '' AS kind, NULL::uuid AS under, NULL::bigint AS bundle WHERE false"""

_TAKE: Final = f"""
WITH found AS MATERIALIZED (@found), item AS (
    INSERT INTO governance_reviewitem (id, campaign_id, number, subject_kind, subject_key, label, agent_id, system_id,
        holder_id, holder_first, subjects_digest, subjects, risk, state, exclusion_reason)
    SELECT gen_random_uuid(), %(campaign)s,
           row_number() OVER (ORDER BY max(risk) DESC, kind, min(label), key), kind, key,
           left(min(label), 300), min(agent_id), min(system_id), min(holder_id), bool_or(holder_first), min(digest),
           min(subjects), (%(risks)s::text[])[max(risk)], 'in_review', ''
    FROM found GROUP BY kind, key
    RETURNING id, number, subject_kind, subject_key
), fact AS (
    SELECT i.id AS item, i.number, f.key, f.grant_id, f.version, f.person_id,
           (jsonb_build_object('campaign', %(slug)s::text, 'kind', f.kind, 'key', f.key, 'name', f.label)
            || f.detail)::text AS payload
    FROM found f JOIN item i ON i.subject_kind = f.kind AND i.subject_key = f.key
), taken AS (
    INSERT INTO governance_populationrow (campaign_id, seq, item_id, grant_id, grant_version, person_id, payload,
                                          row_sha256)
    SELECT %(campaign)s, row_number() OVER (ORDER BY number, grant_id), item, grant_id, version, person_id, payload,
           encode(sha256(convert_to(payload, 'UTF8')), 'hex')
    FROM fact
), line AS (@lines
), used AS (
    SELECT l.item, l.grant_id, l.tool_id, sum(u.calls) AS calls, sum(u.denied) AS denied, max(u.last_at) AS last
    FROM line l JOIN ({usage.USED}) u ON u.tool_id = l.tool_id
    LEFT JOIN entitlements_grant g ON g.id = u.grant_id
    WHERE u.grant_id = l.under OR g.entitlement_id = l.bundle GROUP BY 1, 2, 3
)
INSERT INTO governance_reviewline (item_id, grant_id, tool_id, tool_version_id, limits, usage_grade, calls_window,
                                   denied_window, last_call_at)
SELECT item, grant_id, tool_id, approved_id, limits, grade, CASE WHEN grade = 'A' THEN coalesce(calls, 0) END,
       CASE WHEN grade = 'A' THEN coalesce(denied, 0) END, CASE WHEN grade = 'A' THEN last END
FROM (
    SELECT l.*, u.calls, u.denied, u.last, {usage.GRADE.format(kind="l.kind")} AS grade FROM line l
    LEFT JOIN used u ON u.item = l.item AND u.tool_id = l.tool_id AND u.grant_id IS NOT DISTINCT FROM l.grant_id
) line
"""  # noqa: S608 - made of constants

_SUBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    Campaign.Kind.DELEGATION: (_DELEGATION,),
    Campaign.Kind.OWNERSHIP: (_AGENT,),
    Campaign.Kind.CREDENTIAL: (_CLIENT, _TOKEN, _UPSTREAM),
    Campaign.Kind.ENTITLEMENT_DEFINITION: (_ENTITLEMENT,),
    Campaign.Kind.CONSOLE_ACCESS: (_ROLE, _TOKEN),
}
KINDS: Final = frozenset(_SUBJECTS)
"""The kinds of campaigns whose population is taken here."""


def take(campaign: Campaign, now: datetime) -> None:
    """Take all subjects of the campaign's kind within its scope."""
    statement, values = _statement(campaign.kind, campaign.scope, now)
    lines = _LINES.get(campaign.kind, _NO_LINES)
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE.replace("@found", statement).replace("@lines", lines),
            {**values, "campaign": campaign.pk, "slug": campaign.slug, **_window(now)},
        )


def count(scope: Mapping[str, Any], kind: str, now: datetime) -> int:
    """Count the rows that a campaign of a kind would have now."""
    statement, values = _statement(kind, scope, now)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({statement}) found", values)  # noqa: S608 - made of constants
        return int(cursor.fetchone()[0])


def check(scope: Mapping[str, Any], kind: str) -> None:
    """Refuse a part of a scope that a kind cannot have. Raises BadScope."""
    if kind in KINDS and scope.get("exclude"):
        raise BadScope(field="exclude")
    if kind == Campaign.Kind.CONSOLE_ACCESS and scope:
        raise BadScope(field=min(scope))


def _statement(kind: str, scope: Mapping[str, Any], now: datetime) -> tuple[str, dict[str, Any]]:
    chosen, values = _chosen(kind, scope, now)
    statement = " UNION ALL ".join(_SUBJECTS[kind]).replace("@scope", chosen)
    parameters = {
        "now": now,
        "risks": ["low", "medium", "high", "critical"],
        "everything": not scope,
        "systems": scope.get("systems") or None,
        "by_system": set(scope) == {"systems"},
        "violation": violations.LEVEL.rank + 1,
        **violations.pairs(),
        "holder_first": kind == Campaign.Kind.CREDENTIAL,
    }
    return statement, {**values, **parameters}


def _window(now: datetime) -> dict[str, Any]:
    return {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY}


def _chosen(kind: str, scope: Mapping[str, Any], now: datetime) -> tuple[str, dict[str, Any]]:
    """Return the statement that selects the grants, agents or entitlements in scope, and its parameters."""
    held = scopes.matching(scope, kind, now)
    if kind == Campaign.Kind.DELEGATION:
        return scopes.as_sql(held, "scope")
    if kind == Campaign.Kind.ENTITLEMENT_DEFINITION:
        bundles = Entitlement.objects.filter(enabled=True)
        if scope.get("systems"):
            bundles = bundles.filter(system__slug__in=scope["systems"])
        if scope.get("agents") or scope.get("departments") or scope.get("where"):
            bundles = bundles.filter(pk__in=held.values("entitlement"))
        return scopes.as_sql(bundles, "scope")
    agents = Agent.objects.exclude(status=Agent.Status.RETIRED)
    if scope.get("agents"):
        agents = agents.filter(slug__in=scope["agents"])
    if scope.get("departments"):
        agents = agents.filter(pk__in=role_reach.agents_of(scope["departments"]))
    if scope.get("systems") or scope.get("where"):
        agents = agents.filter(pk__in=held.values("agent"))
    return scopes.as_sql(agents, "scope")
