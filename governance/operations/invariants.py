"""What must always be true of the rows and the audit log: small queries, each returns what breaks its sentence.

`manage.py invariants` runs them over everything, the metrics over the last hour, fault tests after the fault. All of a
run see one snapshot, so that what is being written while they look cannot make them contradict each other.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from audit import bodies, clock

from . import record_invariants

SHOWN: Final = 5
"""How many violations of one invariant are named; the rest are counted."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
SKEW: Final = timedelta(seconds=1)
"""What the clocks of two of our processes may differ (`audit/clock.py` refuses more)."""
_BODY: Final = re.compile(r"(\w\.body)::jsonb")
"""Where a query reads a body: it is asked as `bodies.as_jsonb` reads one."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence, and the query that returns one text for each thing that makes it false.

    The query may use %(now)s, %(since)s (look at what happened from then on) and %(skew)s.
    """

    id: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one invariant's query found: how many violations, and the first few of them."""

    invariant: Invariant
    count: int
    violations: tuple[str, ...]


TOKENS_WITHIN_RIGHTS: Final = """
SELECT t.jti || ' outlives grant ' || g.id FROM entitlements_issuedtoken t
  JOIN entitlements_tokengrant d ON d.token_id = t.jti JOIN entitlements_grant g ON g.id = d.grant_id
 WHERE t.issued_at >= %(since)s AND t.expires_at > g.expires_at
UNION ALL
SELECT t.jti || ' was issued to a person who was disabled: ' || p.login FROM entitlements_issuedtoken t
  LEFT JOIN entitlements_agent a ON a.id = t.agent_id
  JOIN entitlements_person p ON p.id IN (t.person_id, a.sponsor_id)
 WHERE t.issued_at >= %(since)s AND NOT p.is_active AND t.issued_at > p.disabled_at + %(skew)s
UNION ALL
SELECT t.jti || ' was issued to an agent that was stopped: ' || a.slug FROM entitlements_issuedtoken t
  JOIN entitlements_agent a ON a.id = t.agent_id
 WHERE t.issued_at >= %(since)s AND a.status IN ('suspended', 'retired')
   AND t.issued_at > a.tokens_valid_after + %(skew)s
UNION ALL
SELECT t.jti || ' was issued after ' || e.action || ' of ' || link FROM entitlements_issuedtoken t
  JOIN entitlements_client c ON c.id = t.client_id JOIN entitlements_system y ON y.id = t.system_id
  CROSS JOIN LATERAL (VALUES ('client:' || c.identifier, c.status, 'client.disabled'),
                             ('system:' || y.slug, y.status, 'system.disabled')) AS x (link, status, stop)
  JOIN events e ON e.links @> ARRAY[link] AND e.action = stop
 WHERE t.issued_at >= %(since)s AND x.status = 'disabled' AND t.issued_at > e.at + %(skew)s
   AND e.at = (SELECT max(l.at) FROM events l WHERE l.links @> ARRAY[link] AND l.action = stop)
UNION ALL
SELECT t.jti || ' was issued to a sign-in that had ended: ' || f.id FROM entitlements_issuedtoken t
  JOIN entitlements_tokenfamily f ON f.id = t.family
 WHERE t.issued_at >= %(since)s AND t.issued_at > f.ended_at + %(skew)s
"""

TOKENS_STAND_ON_GRANTS: Final = """
SELECT t.jti || ' stands on grant ' || g.id || ', which had ended' FROM entitlements_issuedtoken t
  JOIN entitlements_tokengrant d ON d.token_id = t.jti JOIN entitlements_grant g ON g.id = d.grant_id
 WHERE t.issued_at >= %(since)s AND g.ended_at IS NOT NULL AND t.issued_at > g.ended_at + %(skew)s
UNION ALL
SELECT t.jti || ' stands on the grant of another agent or system, ' || g.id FROM entitlements_issuedtoken t
  JOIN entitlements_tokengrant d ON d.token_id = t.jti JOIN entitlements_grant g ON g.id = d.grant_id
  JOIN entitlements_entitlement e ON e.id = g.entitlement_id
 WHERE t.issued_at >= %(since)s AND (g.agent_id IS DISTINCT FROM t.agent_id OR e.system_id <> t.system_id)
UNION ALL
SELECT t.jti || ' is live and stands on no grant' FROM entitlements_issuedtoken t
  JOIN entitlements_system y ON y.id = t.system_id
 WHERE t.issued_at >= %(since)s AND t.revoked_at IS NULL AND t.expires_at > %(now)s AND y.kind <> 'builtin'
   AND NOT (t.scope = '' AND t.family IS NOT NULL AND y.kind = 'mcp_gateway')
   AND NOT EXISTS (SELECT FROM entitlements_tokengrant d WHERE d.token_id = t.jti)
"""

NO_CALL_AFTER_THE_END: Final = """
SELECT 'call ' || e.uuid || ' ' || stopped.why FROM (
    SELECT e.at, e.uuid, e.trace, 'went out after the end of grant ' || g.id AS why
      FROM entitlements_grant g JOIN events e ON e.links @> ARRAY['grant:' || g.id] AND e.action = 'call.allowed'
     WHERE e.at >= %(since)s AND g.ended_at IS NOT NULL AND e.at > g.ended_at + interval '2 seconds'
    UNION ALL
    SELECT e.at, e.uuid, e.trace, 'went out while everything was stopped'
      FROM entitlements_guardrail r JOIN events e ON e.action = 'call.allowed'
     WHERE r.name = 'everything' AND r.on AND e.at >= %(since)s AND e.at > r.changed_at + interval '2 seconds'
) AS stopped JOIN events e ON e.at = stopped.at AND e.uuid = stopped.uuid
WHERE NOT EXISTS (SELECT FROM events w WHERE w.action = 'call.withdrawn' AND w.at >= e.at AND w.trace = e.trace
                     AND w.body::jsonb #>> '{detail,evaluation}' = e.uuid::text)
"""


LEGAL_TRANSITIONS: Final = """
WITH transitions AS (
    SELECT link, e.action, e.at FROM events e CROSS JOIN LATERAL unnest(e.links) AS link
     WHERE e.at >= %(since)s AND link LIKE 'grant:%%'
       AND e.action IN ('grant.issued', 'grant.suspended', 'grant.restored', 'grant.revoked', 'grant.expired')
)
SELECT t.link || ': ' || t.action || ' after ' || ended.action FROM transitions t
  JOIN transitions ended ON ended.link = t.link AND ended.action IN ('grant.revoked', 'grant.expired')
 WHERE t.at > ended.at
UNION ALL
SELECT 'request ' || r.id || ' is ' || r.state || ' and a grant names it' FROM governance_accessrequest r
  JOIN entitlements_grant g ON g.request_id = r.id
 WHERE r.decided_at >= %(since)s AND (r.state <> 'approved' OR r.grant_id <> g.id)
UNION ALL
SELECT 'request ' || r.id || ' is approved and has no grant' FROM governance_accessrequest r
 WHERE r.decided_at >= %(since)s AND r.state = 'approved'
   AND NOT EXISTS (SELECT FROM entitlements_grant g WHERE g.request_id = r.id)
UNION ALL
SELECT 'request ' || r.id || ' is approved while stage ' || p.stage || ' says ' || p.answer
  FROM governance_accessrequest r JOIN governance_approval p ON p.request_id = r.id
 WHERE r.decided_at >= %(since)s AND r.state = 'approved' AND p.answer IN ('waiting', 'denied')
"""

REVIEWS_ADD_UP: Final = """
WITH effective AS (
    SELECT d.item_id, d.stage, count(*) AS many, array_agg(d.id) AS ids FROM governance_reviewdecision d
     WHERE d.verb <> 'abstain'
       AND NOT EXISTS (SELECT FROM governance_reviewdecision s WHERE s.supersedes_id = d.id)
       AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id) GROUP BY 1, 2
)
SELECT 'stage ' || f.stage || ' of review item ' || f.item_id || ' has ' || f.many || ' effective decisions'
  FROM effective f JOIN governance_reviewitem i ON i.id = f.item_id JOIN governance_campaign c ON c.id = i.campaign_id
 WHERE c.due_at >= %(since)s AND f.many > 1
UNION ALL
SELECT 'review item ' || i.id || ' is decided by what has no effect' FROM governance_reviewitem i
  JOIN governance_campaign c ON c.id = i.campaign_id
 WHERE c.due_at >= %(since)s AND i.state = 'decided'
   AND NOT EXISTS (SELECT FROM effective f WHERE f.item_id = i.id AND i.current_decision_id = ANY(f.ids))
UNION ALL
SELECT 'review item ' || i.id || ' is ' || i.state || ' and has ' || count(*) || ' effective decisions'
  FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id JOIN effective f ON f.item_id = i.id
 WHERE c.due_at >= %(since)s AND i.state = 'in_review' GROUP BY i.id
HAVING count(*) >= CASE WHEN i.risk IN ('high', 'critical') THEN 2 ELSE 1 END
UNION ALL
SELECT 'campaign ' || c.slug || ' says ' || c.population_rows || ' rows and has ' || count(p.id)
  FROM governance_campaign c LEFT JOIN governance_populationrow p ON p.campaign_id = c.id
 WHERE c.due_at >= %(since)s AND c.state <> 'draft' GROUP BY c.id HAVING count(p.id) <> c.population_rows
UNION ALL
SELECT 'campaign ' || c.slug || ' is closed and item ' || i.id || ' is ' || i.state
  FROM governance_campaign c JOIN governance_reviewitem i ON i.campaign_id = c.id
 WHERE c.due_at >= %(since)s AND c.state = 'closed' AND i.state = 'in_review'
UNION ALL
SELECT 'campaign ' || c.slug || ' is closed and the removal of item ' || i.id || ' is not proven'
  FROM governance_campaign c JOIN governance_reviewitem i ON i.campaign_id = c.id
  JOIN governance_reviewdecision d ON d.id = i.current_decision_id AND d.verb = 'revoke'
  LEFT JOIN governance_remediation r ON r.decision_id = d.id
 WHERE c.due_at >= %(since)s AND c.state = 'closed' AND r.state IS DISTINCT FROM 'verified'
"""

REVIEWS_ARE_COUNTED: Final = """
WITH campaign AS (
    SELECT id, slug FROM governance_campaign WHERE due_at >= %(since)s AND state NOT IN ('draft', 'staging')
), item AS (
    SELECT i.campaign_id, i.id,
           coalesce(d.verb, i.state) || coalesce(' on ' || (d.decided_at AT TIME ZONE 'UTC')::date, '') AS outcome
      FROM governance_reviewitem i JOIN campaign c ON c.id = i.campaign_id
      LEFT JOIN governance_reviewdecision d ON d.id = i.current_decision_id
), found AS (
    SELECT campaign_id, 'items ' || outcome AS what, count(*) AS many FROM item GROUP BY 1, 2
    UNION ALL
    SELECT i.campaign_id, 'items ' || a.state || ' to ' || coalesce(a.reviewer_id::text, 'no reviewer'), count(*)
      FROM governance_assignment a JOIN item i ON i.id = a.item_id WHERE a.replaced_by_id IS NULL GROUP BY 1, 2
), kept AS (
    SELECT campaign_id, 'items ' || outcome || coalesce(' on ' || day, '') AS what, sum(count) AS many
      FROM governance_itemtally WHERE campaign_id IN (SELECT id FROM campaign) GROUP BY 1, 2
    UNION ALL
    SELECT campaign_id, 'items ' || state || ' to ' || coalesce(reviewer_id::text, 'no reviewer'), sum(count)
      FROM governance_assignmenttally WHERE campaign_id IN (SELECT id FROM campaign) GROUP BY 1, 2
)
SELECT 'campaign ' || c.slug || ' says ' || coalesce(k.many, 0) || ' ' || what || ' and has ' || coalesce(i.many, 0)
  FROM found i FULL JOIN kept k USING (campaign_id, what) JOIN campaign c ON c.id = campaign_id
 WHERE coalesce(i.many, 0) <> coalesce(k.many, 0)
UNION ALL
SELECT 'item ' || a.item_id || ' has an outcome and a reviewer is still assigned' FROM governance_assignment a
  JOIN governance_reviewitem i ON i.id = a.item_id AND i.state <> 'in_review' JOIN campaign c ON c.id = i.campaign_id
 WHERE a.state = 'assigned'
"""


NO_SELF_APPROVAL: Final = """
SELECT b.login || ' answered request ' || r.id || ' and ' || conflict.why FROM governance_approval p
  JOIN governance_accessrequest r ON r.id = p.request_id JOIN entitlements_agent a ON a.id = r.agent_id
  JOIN entitlements_person b ON b.id IN (p.by_id, p.in_place_of_id)
  CROSS JOIN LATERAL (
    SELECT 'asked for it' AS why WHERE r.requested_by_id = b.id
    UNION ALL SELECT 'benefits from it' WHERE EXISTS (
        SELECT FROM governance_accessrequest_people s WHERE s.accessrequest_id = r.id AND s.person_id = b.id)
    UNION ALL SELECT 'benefits from it in a group' WHERE EXISTS (
        SELECT FROM governance_accessrequest_groups s JOIN entitlements_membership m ON m.group_id = s.group_id
         WHERE s.accessrequest_id = r.id AND m.person_id = b.id)
    UNION ALL SELECT 'owns the agent' WHERE a.owner_id = b.id AND NOT EXISTS (
        SELECT FROM events e WHERE e.links @> ARRAY['agent:' || a.slug] AND e.action = 'agent.owner_changed'
           AND e.at > p.answered_at)
    UNION ALL SELECT 'owned the agent when it was asked' WHERE r.owner_then_id = b.id
  ) AS conflict
 WHERE p.answer IN ('approved', 'denied') AND p.answered_at >= %(since)s
"""

CALLED_AS_APPROVED: Final = """
SELECT 'call ' || e.uuid || ' ran definition ' || called.version || ' of ' || called.tool || ', which was not approved'
  FROM events e
  CROSS JOIN LATERAL (SELECT e.body::jsonb #>> '{detail,version}' AS version,
                             e.body::jsonb #>> '{detail,tool}' AS tool) AS called
 WHERE e.action = 'call.allowed' AND e.at >= %(since)s AND called.tool IS NOT NULL
   AND NOT EXISTS (SELECT FROM entitlements_toolversion v JOIN entitlements_tool t ON t.id = v.tool_id
                    WHERE v.id::text = called.version AND t.name = called.tool AND v.approved_at <= e.at + %(skew)s)
"""

EXPIRY_IS_SWEPT: Final = """
SELECT 'grant ' || id || ' is over since ' || expires_at FROM entitlements_grant
 WHERE ended_at IS NULL AND expires_at < %(now)s - interval '60 seconds'
"""

SECRETS_ARE_SEALED: Final = """
SELECT 'secret of system ' || system_id FROM entitlements_secret
 WHERE substr(sealed, 1, 1) <> '\\x01' OR length(sealed) < 33
    OR substr(previous_sealed, 1, 1) <> '\\x01' OR length(previous_sealed) < 33
UNION ALL
SELECT 'credential of discovery source ' || slug FROM entitlements_discoverysource
 WHERE substr(sealed, 1, 1) <> '\\x01' OR length(sealed) < 33
UNION ALL
SELECT 'client certificate of system ' || system_id FROM entitlements_clientcertificate
 WHERE substr(sealed_key, 1, 1) <> '\\x01' OR length(sealed_key) < 33
UNION ALL
SELECT 'connected account ' || id FROM entitlements_connectedaccount
 WHERE substr(sealed, 1, 1) <> '\\x01' OR length(sealed) < 33
UNION ALL
SELECT 'private key ' || kid FROM entitlements_signingkey
 WHERE public ? 'd' OR public ? 'k'
    OR (length(sealed_private) > 0 AND (substr(sealed_private, 1, 1) <> '\\x01' OR length(sealed_private) < 33))
UNION ALL
SELECT 'upstream session ' || id FROM entitlements_upstreamsession
 WHERE substr(sealed, 1, 1) <> '\\x01' OR length(sealed) < 33
UNION ALL
SELECT 'client ' || identifier FROM entitlements_client
 WHERE (secret_sha256 <> '' AND secret_sha256 !~ '^[0-9a-f]{64}$') OR client_secret <> ''
    OR jsonb_path_exists(jwks, '$.**.d') OR jsonb_path_exists(jwks, '$.**.k')
    OR (previous_secret_sha256 <> '' AND previous_secret_sha256 !~ '^[0-9a-f]{64}$')
    OR jsonb_path_exists(previous_jwks, '$.**.d') OR jsonb_path_exists(previous_jwks, '$.**.k')
UNION ALL
SELECT 'personal token ' || id FROM entitlements_apitoken WHERE digest !~ '^[0-9a-f]{64}$'
UNION ALL
SELECT 'key of ' || subject FROM subject_keys WHERE length(wrapped) < 60
UNION ALL
SELECT 'second factor ' || id FROM mfa_authenticator
 WHERE type <> 'webauthn' AND NOT coalesce(data ->> 'secret', data ->> 'seed', '') ~ '^A[Q-f].{42,}$'
"""


NODES_GO_FORWARD: Final = """
SELECT 'node ' || n.id || ' is at ' || n.position || ', beyond the feed''s end' FROM entitlements_gatewaynode n
 WHERE n.position > (SELECT coalesce(max(seq), 0) FROM entitlements_change)
UNION ALL
SELECT 'node ' || n.id || ' is at ' || n.position || ' and had acknowledged ' || max(r.position)
  FROM entitlements_revocation r CROSS JOIN LATERAL jsonb_array_elements(r.acknowledged) AS acknowledgement
  JOIN entitlements_gatewaynode n ON n.id = acknowledgement ->> 'node'
 WHERE r.committed_at >= %(since)s GROUP BY n.id, n.position HAVING n.position < max(r.position)
"""


ALL: Final = (
    Invariant(
        "1",
        "No token outlives its grant, or was issued to a suspended agent or a disabled person.",
        TOKENS_WITHIN_RIGHTS,
    ),
    Invariant("2", "A live token stands on grants of its own agent that were open.", TOKENS_STAND_ON_GRANTS),
    Invariant("3", "No call goes out two seconds after what allowed it has ended.", NO_CALL_AFTER_THE_END),
    Invariant("4", "Each outcome has exactly one event.", record_invariants.ONE_EVENT_PER_OUTCOME),
    Invariant(
        "5", "Each event is a leaf or pending, and the leaves are dense and true.", record_invariants.RECORD_IS_WHOLE
    ),
    Invariant("6", "Grants and requests end once, and nothing follows their end.", LEGAL_TRANSITIONS),
    Invariant(
        "7",
        "A stage of a review item has one effective decision at most, and the totals of its campaign add up.",
        REVIEWS_ADD_UP,
    ),
    Invariant("8", "No person answers a request that they made, benefit from, or own the agent of.", NO_SELF_APPROVAL),
    Invariant("9", "Every called tool definition was approved.", CALLED_AS_APPROVED),
    Invariant("10", "A grant whose time is over is marked within a minute.", EXPIRY_IS_SWEPT),
    Invariant("11", "No secret lies in a column in plain text.", SECRETS_ARE_SEALED),
    Invariant("12", "Events are sealed within thirty seconds.", record_invariants.RECORD_IS_SEALED_IN_TIME),
    Invariant("13", "A gateway node never goes back in the change feed.", NODES_GO_FORWARD),
    Invariant("14", "What is kept of how far a review has come is what a recount finds.", REVIEWS_ARE_COUNTED),
    Invariant("15", "An event is found by what its body says.", record_invariants.COLUMNS_SAY_WHAT_BODIES_SAY),
    Invariant("16", "Events of the next two months have their partitions.", record_invariants.EVENTS_HAVE_MONTHS),
    Invariant(
        "17", "No event holds a character that the database cannot read back.", record_invariants.RECORD_HOLDS_NO_NUL
    ),
    Invariant("18", "A stop is kept outside within a minute.", record_invariants.STOPS_ARE_KEPT_OUTSIDE),
)
"""Numbered once and for good: metrics, alerts and the operators' pages name them."""


def check(since: datetime = BEGINNING, only: Collection[str] | None = None) -> list[Finding]:
    """Check every invariant (or those numbered) on everything since then, in one snapshot."""
    values: dict[str, Any] = {"now": clock.now(), "since": since, "skew": SKEW}
    findings: list[Finding] = []
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for invariant in (candidate for candidate in ALL if only is None or candidate.id in only):
            cursor.execute(_BODY.sub(lambda match: bodies.as_jsonb(match[1]), invariant.query), values)
            rows = cursor.fetchall()
            findings.append(Finding(invariant, len(rows), tuple(str(row[0]) for row in rows[:SHOWN])))
    return findings
