"""What decisions need to know about one agent at one system: three queries, one snapshot.

A fourth reads the schemas of approved tools that this process has not met: they are kept by the hash of the definition.
So are guardrails, by the newest version of their set, which the first query reads.
What a caller presents beside its rights, its session and its token, is read by its id.

The SQL is shared by the Django side (`load`) and the gateway's own connections, which run the same statements and
hand the rows to `build`. The feed position is read in the first statement, so a snapshot is never newer than it says.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from entitlements import arguments, prepared
from entitlements.guardrails import sets
from entitlements.session_policies import rules
from entitlements.session_policies.rules import Levels, Policy, SignedIn
from entitlements.strict import known_uuid
from entitlements.words import Action, Risk, Status, ToolState

from . import limits
from .snapshot import AgentFacts, Line, SessionFacts, ToolFacts

OWNER_UNTIL: Final = """
CASE WHEN NOT o.is_active THEN extract(epoch FROM o.disabled_at + interval '7 days')::float8 END
"""
"""Until when an agent whose owner `o` left goes on working: seven days in which another person can take over."""

SESSION_POLICIES: Final = """
(SELECT json_agg(json_build_array(q.name, q.risk, q.idle_seconds, q.absolute_seconds, q.max_age_seconds, q.acr, q.amr,
                                  q.renews_without_sign_in) ORDER BY q.name)
   FROM entitlements_sessionpolicy q
  WHERE q.state = 'in_force' AND q.agent_kind IN ('', {kind}) AND (q.system_id IS NULL OR q.system_id = {system}))::text
"""
"""The session policies in force that apply to an agent of a kind at a system; read by `session_terms`."""

PRINCIPALS: Final = f"""
SELECT (SELECT coalesce(max(seq), 0) FROM entitlements_change),
       a.slug, a.status, s.is_active, extract(epoch FROM a.tokens_valid_after)::float8,
       y.slug, y.status,
       (SELECT string_agg(g.reason, '; ') FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on),
       (SELECT json_agg(json_build_array(c.identifier, c.status, extract(epoch FROM c.tokens_valid_after)::float8,
                c.auth = 'none'))
          FROM entitlements_client c
         WHERE c.agent_id = a.id OR c.id = (SELECT k.client_id FROM entitlements_connection k
                                             WHERE k.agent_id = a.id AND k.ended_at IS NULL))::text,
       {OWNER_UNTIL}, extract(epoch FROM a.ends_at)::float8, s.login, o.login,
       array(SELECT b.slug FROM entitlements_delegationpermission d JOIN entitlements_agent b ON b.id = d.actor_id
              WHERE d.agent_id = a.id AND d.ended_at IS NULL),
       {SESSION_POLICIES.format(kind="a.kind", system="y.id")},
       a.kind, a.held_by_risk OR s.held_by_risk, array(SELECT h.login FROM entitlements_person h WHERE h.held_by_risk),
       (SELECT v.id::text FROM entitlements_guardrailversion v WHERE v.position IS NOT NULL
                ORDER BY v.position DESC LIMIT 1)
FROM entitlements_agent a JOIN entitlements_person s ON s.id = a.sponsor_id
LEFT JOIN entitlements_person o ON o.id = a.owner_id, entitlements_system y
WHERE a.slug = %s AND y.slug = %s
"""  # noqa: S608 - made of constants

LINES: Final = """
SELECT t.name, p.login, p.is_active, g.id::text, e.scope, extract(epoch FROM g.starts_at)::float8,
       extract(epoch FROM g.expires_at)::float8, g.state, l.limits::text, u.group_id
FROM entitlements_grant g
JOIN entitlements_agent a ON a.id = g.agent_id
JOIN entitlements_entitlement e ON e.id = g.entitlement_id AND e.enabled
JOIN entitlements_system y ON y.id = e.system_id
JOIN entitlements_grantline l ON l.grant_id = g.id
JOIN entitlements_tool t ON t.id = l.tool_id
LEFT JOIN entitlements_grantsubject u ON u.grant_id = g.id
LEFT JOIN entitlements_membership m ON m.group_id = u.group_id
LEFT JOIN entitlements_person p ON p.id = coalesce(u.person_id, m.person_id)
WHERE a.slug = %s AND y.slug = %s AND g.ended_at IS NULL AND g.state IN ('active', 'suspended')
  -- A grant without people says so itself: one whose people or group members are gone covers no one, not the agent.
  AND CASE WHEN g.subjects_digest = encode(sha256(''), 'hex') THEN u.id IS NULL ELSE p.id IS NOT NULL END
"""

TOOLS: Final = """
SELECT t.name, t.state, coalesce(v.id::text, ''), coalesce(v.sha256, ''), t.action, t.risk, t.data_class,
       array(SELECT e.scope FROM entitlements_entitlementtool l
               JOIN entitlements_entitlement e ON e.id = l.entitlement_id
              WHERE l.tool_id = t.id AND e.enabled ORDER BY e.scope)
FROM entitlements_tool t JOIN entitlements_system y ON y.id = t.system_id
LEFT JOIN entitlements_toolversion v ON v.id = t.approved_id
WHERE y.slug = %s
"""

SCHEMAS: Final = """
SELECT v.sha256, (v.definition -> 'inputSchema')::text FROM entitlements_toolversion v
JOIN entitlements_tool t ON t.id = v.tool_id JOIN entitlements_system y ON y.id = t.system_id
WHERE y.slug = %s AND v.sha256 = ANY(%s)
"""
SESSION: Final = """
SELECT n.id::text, p.login, extract(epoch FROM n.last_used_at)::float8 + n.idle_seconds,
       extract(epoch FROM n.expires_at)::float8, extract(epoch FROM coalesce(n.auth_time, n.started_at))::float8,
       n.ended_at IS NOT NULL, n.risk, to_json(n.labels)::text, extract(epoch FROM n.started_at)::float8,
       extract(epoch FROM n.last_used_at)::float8, extract(epoch FROM n.signed_in_at)::float8, n.acr, n.amr,
       n.held_by_risk, a.risk_level, coalesce(p.risk_level, 'low'),
       extract(epoch FROM greatest(a.sign_in_required_after, p.sign_in_required_after))::float8
FROM entitlements_session n JOIN entitlements_agent a ON a.id = n.agent_id
LEFT JOIN entitlements_person p ON p.id = n.person_id WHERE n.id = %s AND a.slug = %s
"""
REVOKED: Final = "SELECT 1 FROM entitlements_issuedtoken WHERE jti = %s AND revoked_at IS NOT NULL"
PERSON: Final = "SELECT is_active FROM entitlements_person WHERE login = %s"
MOST_SCHEMAS: Final = 20_000

type Row = Sequence[Any]

_schemas: dict[str, arguments.Schema] = {}


def load(
    agent: str,
    system: str,
    people: Iterable[tuple[str, bool]] = (),
    *,
    session: str | None = None,
    token: str | None = None,
    schemas: bool = True,
) -> AgentFacts | None:
    """Read the facts about an agent at a system, by their slugs; None when either is unknown.

    Agents of a delegation chain are named together (`chain_key`), the one that began it last: it has the session.
    `people` adds persons (login, active) who are asked about without holding anything, `session` and `token` what is
    presented, by id. `schemas` reads what a decision about the arguments of a call needs; issuing does without.
    """
    agent, *behind = agent.split(" ")
    root = behind[-1] if behind else agent
    chained = [load(each, system, people, schemas=schemas) for each in behind]
    principals = prepared.row(PRINCIPALS, [agent, system])
    if principals is None or None in chained:
        return None
    for newest in sets.unread([principals]):
        sets.keep(newest, prepared.rows(sets.GUARDRAILS, [newest]))
    lines, tools = prepared.rows(LINES, [agent, system]), prepared.rows(TOOLS, [system])
    if schemas and (unread := unread_schemas(tools)):
        keep_schemas(prepared.rows(SCHEMAS, [system, unread]))
    sid, jti = known_uuid(session or ""), known_uuid(token or "")
    sessions = dict(map(session_of, prepared.rows(SESSION, [sid, root]))) if sid is not None else {}
    is_dead = jti is not None and prepared.row(REVOKED, [jti]) is not None
    known = build(principals, lines, tools, people, sessions, frozenset({token or ""} if is_dead else ()))
    return together(known, [each for each in chained if each is not None])


def unread_schemas(tools: Iterable[Row]) -> list[str]:
    """Name the approved definitions among rows of TOOLS, by hash, whose schema SCHEMAS must still read."""
    return [sha256 for _, _, _, sha256, *_ in tools if sha256 and sha256 not in _schemas]


def keep_schemas(rows: Iterable[Row]) -> None:
    """Keep what SCHEMAS returned; the oldest go. Each is compiled when it is first asked."""
    for sha256, text in rows:
        _schemas[sha256] = arguments.Schema(text or "null")
    for sha256 in list(_schemas)[: max(0, len(_schemas) - MOST_SCHEMAS)]:
        _schemas.pop(sha256, None)


def session_of(row: Row) -> tuple[str, SessionFacts]:
    """Return what a row of SESSION says, by the session's id. Its risk level is the highest of those it stands on."""
    sid, login, idle, absolute, authenticated, ended, own, labels, *more, required = row
    began, last_used, signed_in_at, acr, amr, held, *risks = more
    known = SessionFacts(
        login,
        idle,
        absolute,
        authenticated,
        ended,
        -math.inf if is_signed_in_too_early(authenticated, required) else math.inf,
        max(map(Risk, (own, *risks)), key=lambda level: level.rank),
        frozenset(json.loads(labels)),
        began=began,
        last_used=last_used,
        is_held=held,
        signed_in=SignedIn(-math.inf if signed_in_at is None else signed_in_at, acr, frozenset(amr.split())),
    )
    return sid, known


@functools.lru_cache(maxsize=1_000)
def session_terms(stored: str | None) -> Levels:
    """Return what the policies ask that SESSION_POLICIES returned, at each risk level; the same text is read once."""
    return rules.levels(
        [
            Policy(
                name,
                Risk(risk or Risk.LOW),
                float(idle),
                float(absolute),
                math.inf if max_age is None else float(max_age),
                tuple(acr),
                frozenset(amr),
                renews,
            )
            for name, risk, idle, absolute, max_age, acr, amr, renews in json.loads(stored or "[]")
        ]
    )


def is_signed_in_too_early(signed_in: float, required: float | None) -> bool:
    """Whether a sign-in is from before the moment after which one is required; providers name whole seconds."""
    return required is not None and signed_in < int(required)


def build(
    principals: Row,
    lines: Iterable[Row],
    tools: Iterable[Row],
    people: Iterable[tuple[str, bool]] = (),
    sessions: dict[str, SessionFacts] | None = None,
    dead_tokens: AbstractSet[str] = frozenset(),
) -> AgentFacts:
    """Make a snapshot of the rows that PRINCIPALS, LINES and TOOLS return, with what is presented."""
    position, agent, status, sponsor_active, valid_after, system, system_status, stopped, registered, *rest = principals
    clients = json.loads(registered or "[]")
    owner_until, agent_until, sponsor, owner, delegates, policies, kind, is_held, held, newest = rest
    known = {login: _active(is_active) for login, is_active in people}
    granted, groups = _granted(system, lines, known)
    catalogue, offers = _catalogue(system, tools)
    return AgentFacts(
        agent=agent,
        position=position,
        status=Status(status),
        sponsor=_active(sponsor_active),
        clients={name: Status(state) for name, state, *_ in clients},
        people=known,
        systems={system: Status(system_status)},
        tools=catalogue,
        lines={key: tuple(lines_held) for key, lines_held in granted.items()},
        sessions={} if sessions is None else sessions,
        dead_tokens=dead_tokens,
        owner_until=math.inf if owner_until is None else owner_until,
        agent_until=math.inf if agent_until is None else agent_until,
        tokens_valid_after=float("-inf") if valid_after is None else valid_after,
        client_tokens_valid_after={name: moment for name, _, moment, _ in clients if moment is not None},
        unproven_clients=frozenset(name for name, *_, is_unproven in clients if is_unproven),
        stopped=stopped or "",
        guardrails=sets.current(newest),
        kind=kind,
        offers=offers,
        answer_for_it=frozenset(person for person in (sponsor, owner) if person is not None),
        groups=groups,
        delegates=frozenset(delegates),
        is_held=is_held,
        held_people=frozenset(held),
        session_terms=session_terms(policies),
    )


def together(known: AgentFacts, behind: Sequence[AgentFacts]) -> AgentFacts:
    """Put the facts about the agents behind beside those about the one that acts; what is presented is one for all."""
    for each in behind:
        each.sessions, each.dead_tokens = known.sessions, known.dead_tokens
    known.behind = tuple(behind)
    return known


def _granted(
    system: str, rows: Iterable[Row], people: dict[str, Status]
) -> tuple[dict[tuple[str, str, str | None], list[Line]], frozenset[int]]:
    """Return the lines by system, tool and person, and the groups that they name; adds the persons to `people`."""
    granted: dict[tuple[str, str, str | None], list[Line]] = {}
    groups: set[int] = set()
    for tool, login, is_active, grant, scope, starts, ends, state, caps, group in rows:
        if group is not None:
            groups.add(group)
        if login is not None:
            people[login] = _active(is_active)
        line = Line(grant, scope, starts, ends, _limits(caps), suspended=state == "suspended")
        granted.setdefault((system, tool, login), []).append(line)
    return granted, frozenset(groups)


def _catalogue(
    system: str, rows: Iterable[Row]
) -> tuple[dict[tuple[str, str], ToolFacts], dict[tuple[str, str], tuple[str, ...]]]:
    tools: dict[tuple[str, str], ToolFacts] = {}
    offers: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, state, version, sha256, action, risk, data_class, scopes in rows:
        schema = _schemas.get(sha256, arguments.UNREAD)
        tools[system, name] = ToolFacts(
            system, name, ToolState(state), version, sha256, Action(action), Risk(risk), schema, data_class
        )
        offers[system, name] = tuple(scopes)
    return tools, offers


@functools.lru_cache(maxsize=10_000)
def _limits(stored: str) -> limits.Compiled:
    """Compile stored limits; the same text is compiled once. What cannot be understood covers nothing."""
    return limits.load(json.loads(stored))


def _active(flag: bool) -> Status:  # noqa: FBT001 - a column
    return Status.ACTIVE if flag else Status.DISABLED
