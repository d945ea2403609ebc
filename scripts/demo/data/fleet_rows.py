"""The statements that make a fleet, each for the whole of it at once; `scripts/demo/data/fleet.py` runs them in order.

Every state that a row has come to gets the event that the action would have recorded, with the same links and the same
words: first as rows of `past_event`, at the end as numbered, canonical bodies of one producer. All text is plain ASCII
without quotes, so that what PostgreSQL puts together is canonical JSON already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

HELPERS: Final = """
CREATE TEMP TABLE past_event (
    at timestamptz NOT NULL, action text NOT NULL, actor text NOT NULL, about text[] NOT NULL, detail text NOT NULL,
    reason text NOT NULL DEFAULT '', behalf text, session text NOT NULL DEFAULT '', trace text NOT NULL DEFAULT '',
    uuid uuid NOT NULL DEFAULT gen_random_uuid()
) ON COMMIT DROP;
CREATE TEMP TABLE bundle ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY e.id) - 1 AS n, e.id, e.scope, e.system_id, y.slug AS system, y.owner_id,
       (SELECT string_agg(format('"%%s":{}', t.name), ',' ORDER BY t.name COLLATE "C")
          FROM entitlements_entitlementtool l JOIN entitlements_tool t ON t.id = l.tool_id
         WHERE l.entitlement_id = e.id) AS lines,
       first.name AS tool, first.approved_id AS version
  FROM entitlements_entitlement e JOIN entitlements_system y ON y.id = e.system_id
  CROSS JOIN LATERAL (SELECT t.name, t.approved_id FROM entitlements_entitlementtool l
    JOIN entitlements_tool t ON t.id = l.tool_id WHERE l.entitlement_id = e.id ORDER BY t.name LIMIT 1) AS first
 WHERE y.slug LIKE 'fleet-%%';
"""

PEOPLE: Final = """
INSERT INTO entitlements_person (password, login, name, email, is_active, created_at)
SELECT '!', 'fleet-person-' || lpad(n::text, 6, '0'),
       (ARRAY['Ada','Ben','Chidi','Dana','Emil','Fatou','Goran','Hana','Ines','Jonas','Kofi','Lena','Mateo'])
       [1 + mod(n, 13)] || ' ' ||
       (ARRAY['Abbot','Bauer','Costa','Dube','Endo','Fischer','Garcia'])[1 + mod(n / 13, 7)] || ' ' || n,
       'fleet-person-' || lpad(n::text, 6, '0') || '@example.com', true, %(now)s - interval '500 days'
  FROM generate_series(0, %(people)s - 1) AS n;
CREATE TEMP TABLE person ON COMMIT DROP AS
SELECT right(login, 6)::int AS n, id, login FROM entitlements_person WHERE login LIKE 'fleet-person-%%';
CREATE UNIQUE INDEX ON person (n);
UPDATE entitlements_person e SET manager_id = above.id FROM person p JOIN person above ON above.n = p.n / 10
 WHERE e.id = p.id AND p.n >= 10;
INSERT INTO past_event (at, action, actor, about, detail)
SELECT %(now)s - interval '500 days', 'person.registered', %(by)s, ARRAY['person:' || login], '{}' FROM person;
INSERT INTO entitlements_group (slug, name)
SELECT 'fleet-team-' || lpad(n::text, 5, '0'), 'Team ' || n FROM generate_series(0, %(people)s / 20) AS n;
CREATE TEMP TABLE team ON COMMIT DROP AS
SELECT right(slug, 5)::int AS n, id, slug FROM entitlements_group WHERE slug LIKE 'fleet-team-%%';
INSERT INTO entitlements_membership (group_id, person_id)
SELECT team.id, person.id FROM person JOIN team ON team.n = person.n / 20;
INSERT INTO past_event (at, action, actor, about, detail)
SELECT %(now)s - interval '499 days', 'group.made', %(by)s,
       array_append(coalesce((SELECT array_agg('person:' || p.login) FROM person p WHERE p.n / 20 = team.n), '{}'),
                    'group:' || team.slug), '{}' FROM team;
"""

AGENTS: Final = """
CREATE TEMP TABLE plan ON COMMIT DROP AS
SELECT n, 'fleet-' || lpad(n::text, 6, '0') AS slug,
       (ARRAY['Invoice','Travel','Ticket','Payroll','Contract','Release','Stock','Inbox','Report','Meeting','Research'])
       [1 + mod(n * 5, 11)] || ' ' ||
       (ARRAY['helper','matcher','triage','clerk','watch','summary','planner'])[1 + mod(n * 3, 7)] || ' ' || n AS name,
       (ARRAY['shared','shared','shared','shared','shared','shared','service','service','personal','personal'])
       [1 + mod(n, 10)] AS kind,
       mod(n, %(people)s) AS sponsor,
       CASE WHEN mod(n, 97) <> 0 THEN mod(n + 1 + mod(n, 5), %(people)s) END AS owner,
       mod(n, 50) = 3 AS stopped,
       %(now)s - interval '100 days' - make_interval(days => mod(n, 300)) AS born,
       CASE WHEN mod(n, 40) <> 5 THEN date_trunc('second', %(now)s - interval '6 days'
            - make_interval(mins => mod(n * 7919, 28000))) END AS used
  FROM generate_series(0, %(agents)s - 1) AS n;
INSERT INTO entitlements_agent (slug, name, kind, purpose, sponsor_id, owner_id, status, status_reason,
                                tokens_valid_after, created_at, version)
SELECT plan.slug, plan.name, kind, 'Works on what its name says, for team ' || sponsor / 20 || '.', s.id, o.id,
       CASE WHEN stopped THEN 'suspended' ELSE 'active' END,
       CASE WHEN stopped THEN 'It did what no one expected.' ELSE '' END,
       CASE WHEN stopped THEN %(now)s - interval '5 days' END, born, CASE WHEN stopped THEN 2 ELSE 1 END
  FROM plan JOIN person s ON s.n = plan.sponsor LEFT JOIN person o ON o.n = plan.owner ORDER BY plan.n;
CREATE TEMP TABLE agent ON COMMIT DROP AS
SELECT plan.*, a.id, a.purpose, s.id AS sponsor_id, s.login AS sponsor_login, o.id AS owner_id, o.login AS owner_login
  FROM plan JOIN entitlements_agent a ON a.slug = plan.slug
  JOIN person s ON s.n = plan.sponsor LEFT JOIN person o ON o.n = plan.owner;
CREATE UNIQUE INDEX ON agent (n);
INSERT INTO past_event (at, action, actor, about, detail)
SELECT born, 'agent.registered', %(by)s,
       array_remove(ARRAY['agent:' || slug, 'person:' || sponsor_login, 'person:' || owner_login], NULL),
       format('{"kind":"%%s","owner":%%s,"purpose":"%%s","sponsor":"%%s"}', kind,
              coalesce('"' || owner_login || '"', 'null'), purpose, sponsor_login) FROM agent;
INSERT INTO past_event (at, action, actor, about, detail, reason)
SELECT %(now)s - interval '5 days', 'agent.suspended', %(by)s, ARRAY['agent:' || slug], '{}',
       'It did what no one expected.' FROM agent WHERE stopped;
INSERT INTO entitlements_clientcredential (id, agent_id, client_id, purpose, name, auth, jwks, secret_sha256,
    redirect_uris, api_scopes, state, asked_by, askers, reason, asked_at, answer_by, acceptor_id, answered_by,
    answered_at, answer_reason)
SELECT gen_random_uuid(), id, slug, 'client', slug, 'none', '{}', '', 'http://127.0.0.1/callback', '[]', 'accepted',
       'person:' || sponsor_login, jsonb_build_array(sponsor_login), '', born, born + interval '14 days', sponsor_id,
       'person:' || sponsor_login, born, '' FROM agent ORDER BY n;
INSERT INTO entitlements_client (identifier, redirect_uris, post_logout_redirect_uris, client_type,
    authorization_grant_type, client_secret, hash_client_secret, name, skip_authorization, created, updated, algorithm,
    allowed_origins, registration_source, auth, jwks, secret_sha256, status, api_scopes, agent_id)
SELECT slug, 'http://127.0.0.1/callback', '', 'public', 'authorization-code', '', false, slug, false, born, born, '',
       '', 'manual', 'none', '{}', '', 'active', '[]', id FROM agent ORDER BY n;
INSERT INTO past_event (at, action, actor, about, detail)
SELECT born, 'client.registered', 'person:' || sponsor_login, ARRAY['client:' || slug, 'agent:' || slug],
       '{"api_scopes":[],"auth":"none"}' FROM agent;
"""

# Ten grants an agent: eight are open, some of them until next week, one is expired, one revoked or expired.
GRANTS: Final = """
CREATE TEMP TABLE given ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, made.*, (made.state IN ('revoked', 'expired')) AS over,
       CASE state WHEN 'expired' THEN starts + interval '30 days' WHEN 'revoked' THEN starts + interval '10 days' END
       AS ended,
       CASE WHEN state IN ('revoked', 'expired') THEN starts + interval '30 days'
            WHEN mod(n * 10 + i, 50) = 7 THEN date_trunc('second', %(now)s + make_interval(hours => 24 + mod(n, 120)))
            ELSE starts + interval '90 days' END AS expires
  FROM (SELECT a.n, i, a.id AS agent_id, a.slug, b.id AS bundle_id, b.scope, b.system, b.lines,
               CASE WHEN a.kind = 'personal' THEN a.sponsor
                    WHEN a.kind = 'shared' AND NOT (mod(i, 2) = 1 AND mod(a.n, 3) = 0)
                    THEN mod(a.n * 3 + i, %(people)s) END AS person,
               CASE WHEN a.kind = 'shared' AND mod(i, 2) = 1 AND mod(a.n, 3) = 0 THEN a.sponsor / 20 END AS team,
               CASE WHEN i < 8 THEN CASE WHEN mod(a.n * 10 + i, 333) = 1 THEN 'suspended' ELSE 'active' END
                    WHEN i = 8 OR mod(a.n, 2) = 0 THEN 'expired' ELSE 'revoked' END AS state,
               date_trunc('second', %(now)s - make_interval(
                   days => CASE WHEN i < 8 THEN 36 + mod(a.n * 31 + i * 17, 50) ELSE 60 + mod(a.n, 35) END,
                   secs => mod(a.n * 37 + i * 7001, 80000))) AS starts
          FROM agent a CROSS JOIN generate_series(0, 9) AS i
          JOIN bundle b ON b.n = mod(a.n * 13 + i, (SELECT count(*) FROM bundle))) AS made;
CREATE TEMP TABLE held ON COMMIT DROP AS
SELECT g.*, p.id AS person_id, p.login, t.id AS team_id,
       coalesce('person:' || p.login, 'group:' || t.slug) AS subject
  FROM given g LEFT JOIN person p ON p.n = g.person LEFT JOIN team t ON t.n = g.team;
INSERT INTO entitlements_grant (id, agent_id, entitlement_id, subjects_digest, state, starts_at, expires_at, ended_at,
                                end_reason, created_at, version)
SELECT id, agent_id, bundle_id, encode(sha256(convert_to(coalesce(subject, ''), 'UTF8')), 'hex'), state, starts,
       expires, ended, CASE state WHEN 'expired' THEN 'its time has passed' WHEN 'revoked' THEN 'Not needed any more.'
       ELSE '' END, starts, CASE state WHEN 'active' THEN 1 ELSE 2 END
  FROM held ORDER BY starts;
INSERT INTO entitlements_grantsubject (grant_id, person_id, group_id)
SELECT id, person_id, team_id FROM held WHERE subject IS NOT NULL ORDER BY starts;
INSERT INTO entitlements_grantline (grant_id, tool_id, limits)
SELECT held.id, l.tool_id, '{}' FROM held JOIN entitlements_entitlementtool l ON l.entitlement_id = held.bundle_id
 ORDER BY starts;
INSERT INTO past_event (at, action, actor, about, detail, reason)
SELECT starts, 'grant.issued', %(by)s, array_remove(ARRAY['grant:' || id, 'agent:' || slug, 'entitlement:' || scope,
       'system:' || system, subject], NULL),
       format('{"expires_at":"%%s+00:00","lines":{%%s},"starts_at":"%%s+00:00"}',
              to_char(expires AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'), lines,
              to_char(starts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')), 'Part of the fleet.' FROM held;
INSERT INTO past_event (at, action, actor, about, detail, reason)
SELECT coalesce(ended, %(now)s - interval '3 days'), 'grant.' || state,
       CASE state WHEN 'expired' THEN 'system:mandate' ELSE %(by)s END,
       ARRAY['grant:' || id, 'agent:' || slug, 'entitlement:' || scope]
       || CASE state WHEN 'expired' THEN '{}'::text[] ELSE ARRAY['system:' || system] END, '{}',
       CASE state WHEN 'expired' THEN 'its time has passed' WHEN 'revoked' THEN 'Not needed any more.'
       ELSE 'Looked into.' END FROM held WHERE state <> 'active';
"""

# One session, token and call of each agent that is used, on its first grant.
USE: Final = """
CREATE TEMP TABLE used ON COMMIT DROP AS
SELECT a.n, a.used AS at, a.slug, a.id AS agent_id, c.id AS client_id, g.id AS grant_id, g.person_id, g.login, g.system,
       b.system_id, b.scope, b.tool, b.version, gen_random_uuid() AS session, gen_random_uuid() AS jti,
       gen_random_uuid() AS call, md5('fleet trace ' || a.n) AS trace
  FROM agent a JOIN held g ON g.n = a.n AND g.i = 0 JOIN bundle b ON b.id = g.bundle_id
  JOIN entitlements_client c ON c.identifier = a.slug WHERE a.used IS NOT NULL;
INSERT INTO entitlements_session (id, agent_id, client_id, person_id, sign_in_sha256, started_at, last_used_at,
    idle_seconds, expires_at, risk, labels, end_reason)
SELECT session, agent_id, client_id, person_id, encode(sha256(convert_to(session::text, 'UTF8')), 'hex'), at, at, 3600,
       at + interval '12 hours', 'low', '[]', '' FROM used;
INSERT INTO entitlements_issuedtoken (jti, kind, system_id, client_id, agent_id, person_id, session_id, scope,
    issued_at, expires_at, revoke_reason, trace)
SELECT jti, 'access_token', system_id, client_id, agent_id, person_id, session, scope, at, at + interval '300 seconds',
       '', trace FROM used;
INSERT INTO entitlements_tokengrant (token_id, grant_id) SELECT jti, grant_id FROM used;
INSERT INTO past_event (at, action, actor, about, detail, behalf, session, trace)
SELECT at, 'session.begun', 'agent:' || slug, array_remove(ARRAY['session:' || session, 'agent:' || slug,
       'person:' || login, 'client:' || slug], NULL), '{}', 'person:' || login, '', trace FROM used;
INSERT INTO past_event (at, action, actor, about, detail, behalf, session, trace)
SELECT at, 'token.issued', 'agent:' || slug, ARRAY['token:' || jti, 'client:' || slug, 'system:' || system,
       'grant:' || grant_id, 'session:' || session],
       format('{"expires":%%s,"flow":"jwt_bearer","kind":"access_token","left_out":{},"parent":null,"scope":"%%s"}',
              extract(epoch FROM at)::bigint + 300, scope), 'person:' || login, session::text, trace FROM used;
INSERT INTO past_event (at, action, actor, about, detail, behalf, session, trace, uuid)
SELECT at + interval '1 second', 'call.allowed', 'agent:' || slug, ARRAY['client:' || slug, 'token:' || jti,
       'system:' || system, 'tool:' || system || '/' || tool, 'grant:' || grant_id],
       format('{"arguments":"%%s","method":"tools/call","tool":"%%s","version":"%%s"}',
              encode(sha256('{}'), 'hex'), tool, version), 'person:' || login, session::text, trace, call FROM used;
INSERT INTO past_event (at, action, actor, about, detail, behalf, session, trace)
SELECT at + interval '2 seconds', 'call.finished', 'agent:' || slug, ARRAY['client:' || slug, 'token:' || jti,
       'system:' || system, 'tool:' || system || '/' || tool],
       format('{"bytes":%%s,"evaluation":"%%s","milliseconds":%%s}', 200 + mod(n, 900), call, 20 + mod(n, 300)),
       'person:' || login, session::text, trace FROM used;
"""

# One agent in ten asked for more: one in twenty waits for its sponsor, the rest was withdrawn.
REQUESTS: Final = """
CREATE TEMP TABLE asked ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, a.n, a.id AS agent_id, a.slug, a.owner_id, a.owner_login, a.sponsor_id, a.sponsor_login,
       m.manager_id, b.id AS bundle_id, b.scope, b.system, b.owner_id AS system_owner_id, b.lines, p.id AS person_id,
       p.login, mod(a.n, 20) = 1 AS waits, md5('fleet request ' || a.n) AS trace,
       date_trunc('second', %(now)s - make_interval(hours => 1 + mod(a.n * 7, 140))) AS at
  FROM agent a JOIN bundle b ON b.n = mod(a.n * 13 + 11, (SELECT count(*) FROM bundle))
  JOIN person p ON p.n = mod(a.n * 3 + 11, %(people)s) JOIN entitlements_person m ON m.id = a.sponsor_id
 WHERE mod(a.n, 10) = 1 AND a.owner_id IS NOT NULL AND p.id NOT IN (a.owner_id, a.sponsor_id);
INSERT INTO governance_accessrequest (id, agent_id, entitlement_id, requested_by_id, requested_as, owner_then_id,
    sponsor_then_id, manager_then_id, system_owner_then_id, asked_lasts, lasts, reason, risk, state, policy_id, trace,
    asked_at, answer_by, decided_at, version)
SELECT id, agent_id, bundle_id, owner_id, 'person:' || owner_login, owner_id, sponsor_id, manager_id, system_owner_id,
       interval '30 days', interval '30 days', 'The next quarter needs it.', 'low',
       CASE WHEN waits THEN 'in_approval' ELSE 'cancelled' END, %(policy)s, trace, at, at + interval '7 days',
       CASE WHEN NOT waits THEN at + interval '30 minutes' END, CASE WHEN waits THEN 1 ELSE 2 END
  FROM asked ORDER BY at;
INSERT INTO governance_accessrequest_people (accessrequest_id, person_id) SELECT id, person_id FROM asked;
INSERT INTO governance_requestline (request_id, tool_id, asked_limits, limits, kept)
SELECT asked.id, l.tool_id, '{}', '{}', true FROM asked
  JOIN entitlements_entitlementtool l ON l.entitlement_id = asked.bundle_id;
INSERT INTO governance_approval (request_id, position, stage, resolution, answer, reason)
SELECT id, 1, 'sponsor', jsonb_build_object('chosen', jsonb_build_array(sponsor_login), 'rule', 'the sponsor',
       'skipped', '[]'::jsonb, 'evaluated_at', at), CASE WHEN waits THEN 'waiting' ELSE 'void' END, '' FROM asked;
INSERT INTO governance_approval_waiting_for (approval_id, person_id)
SELECT a.id, asked.sponsor_id FROM governance_approval a JOIN asked ON asked.id = a.request_id;
INSERT INTO past_event (at, action, actor, about, detail, reason, trace)
SELECT at, 'request.submitted', 'person:' || owner_login, ARRAY['request:' || id, 'agent:' || slug,
       'entitlement:' || scope, 'system:' || system, 'person:' || login],
       format('{"approvals":[{"rule":"the sponsor","stage":"sponsor","waiting_for":["%%s"]}],"completes":[],'
              '"denied_call":null,"lasts_seconds":2592000,"lines":{%%s},"risk":"low"}', sponsor_login, lines),
       'The next quarter needs it.', trace FROM asked;
INSERT INTO past_event (at, action, actor, about, detail, trace)
SELECT at + interval '30 minutes', 'request.cancelled', 'person:' || owner_login, ARRAY['request:' || id,
       'agent:' || slug, 'entitlement:' || scope, 'system:' || system, 'person:' || login], '{}', trace
  FROM asked WHERE NOT waits;
"""

RECORD: Final = """
WITH numbered AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY at, action, uuid) AS sequence, past_event.*,
           (SELECT array_agg(DISTINCT link COLLATE "C") FROM unnest(about) AS link) AS sorted,
           (SELECT array_agg(DISTINCT link COLLATE "C") FROM unnest(
                about || nullif(actor, 'system:mandate') || behalf || nullif('session:' || session, 'session:')) AS link
             WHERE link IS NOT NULL) AS links
      FROM past_event
), event AS (
    INSERT INTO events (at, uuid, action, links, trace, producer, sequence, body)
    SELECT at, uuid, action, links, trace, %(producer)s, sequence,
           '{"action":"' || action || '","actor":"' || actor || '","at":"'
           || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","code":"","detail":' || detail
           || ',"links":["' || array_to_string(sorted, '","') || '"],"on_behalf_of":'
           || coalesce('"' || behalf || '"', 'null') || ',"outcome":"success","personal":{},"producer":"'
           || %(producer)s::text || '","reason":"' || reason || '","request_id":"","sequence":' || sequence
           || ',"session":"' || session || '","source":"","trace":"' || trace || '","uuid":"' || uuid || '","v":1}'
      FROM numbered ORDER BY sequence
)
INSERT INTO pending (at, uuid, producer, sequence)
SELECT at, uuid, %(producer)s, sequence FROM numbered ORDER BY sequence
"""


def statements() -> Iterator[str]:
    """Yield the statements that fill the product's tables and `past_event`, in order; RECORD follows them."""
    for step in (HELPERS, PEOPLE, AGENTS, GRANTS, USE, REQUESTS):
        yield from filter(str.strip, step.split(";\n"))
