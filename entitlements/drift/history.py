"""What agents and sessions did before, added up from the sealed events, and what is to be compared with it.

Two small tables hold it, so that a detector is replayed without reading the log again. They are derived: no one
decides by them alone, and rows that are older than every window are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import bodies, clock, stream
from entitlements.strict import known_uuid

from .models import AgentHour, SessionNetwork
from .rules import LEAST_IN_HOUR, LONGEST, History, digest, network_of

KEPT_FOR: Final = 2 * LONGEST
"""So that a replay over the longest window has a history at its beginning."""
_FORGOTTEN_AT_ONCE: Final = 5000

type AgentAt = tuple[int, datetime]
"""An agent by its key, and the beginning of an hour."""

_BODY: Final = f"CROSS JOIN LATERAL (SELECT {bodies.as_jsonb('e.body')} AS body) b"
_SEEN: Final = f"""
SELECT b.body ->> 'session', b.body ->> 'source', min(e.at) FROM {stream.LEAVES} e {_BODY}
WHERE e.action IN ('token.issued', 'call.allowed') AND b.body ->> 'session' <> '' AND b.body ->> 'source' <> ''
GROUP BY 1, 2 ORDER BY 3
"""  # noqa: S608 - made of constants
_NETWORKS: Final = """
INSERT INTO entitlements_sessionnetwork (session_id, network, address_class, first_at)
SELECT n.session, n.network, n.address_class, n.at
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[]) AS n(session, network, address_class, at)
JOIN entitlements_session s ON s.id = n.session ORDER BY n.session, n.at
ON CONFLICT (session_id, network) DO NOTHING RETURNING id
"""
_HOURS: Final = f"""
INSERT INTO entitlements_agenthour AS h (agent_id, hour, tool_class, calls)
SELECT a.id, date_trunc('hour', c.at, 'UTC'), t.action || ' ' || t.data_class, count(*)
FROM (
    SELECT e.at, substr(b.body ->> 'actor', 7) AS agent,
           (SELECT max(substr(x, 6)) FROM unnest(e.links) AS x WHERE starts_with(x, 'tool:')) AS tool
    FROM {stream.LEAVES} e {_BODY} WHERE e.action = 'call.allowed' OFFSET 0) c
JOIN entitlements_agent a ON a.slug = c.agent
JOIN entitlements_system y ON y.slug = split_part(c.tool, '/', 1)
JOIN entitlements_tool t ON t.system_id = y.id AND t.name = substr(c.tool, strpos(c.tool, '/') + 1)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (agent_id, hour, tool_class) DO UPDATE SET calls = h.calls + excluded.calls
RETURNING h.agent_id, h.hour
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Changed:
    """What some sealed events added: rows of networks by their keys, and hours of agents."""

    networks: list[int]
    hours: list[AgentAt]


def add(leaves: range) -> Changed:
    """Add some sealed events up."""
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, stream.bounds(leaves))
        seen = _networks(cursor.fetchall())
        cursor.execute(_NETWORKS, [list(column) for column in zip(*seen, strict=True)] or [[], [], [], []])
        networks = [key for (key,) in cursor.fetchall()]
        cursor.execute(_HOURS, stream.bounds(leaves))
        return Changed(networks, sorted(set(cursor.fetchall())))


def _networks(rows: list[tuple[str, str, datetime]]) -> list[tuple[UUID, str, str, datetime]]:
    found: dict[tuple[UUID, str], tuple[str, datetime]] = {}
    for session, source, at in rows:
        key, known = known_uuid(session), network_of(source)
        if key is not None and known is not None:
            found.setdefault((key, digest(str(key), known[0])), (known[1], at))
    return [(session, network, *rest) for (session, network), rest in found.items()]


def forget_old() -> int:
    """Delete what is older than every window, some rows at a time; says how many."""
    old = clock.now() - KEPT_FOR
    count = 0
    for rows in (SessionNetwork.objects.filter(first_at__lt=old), AgentHour.objects.filter(hour__lt=old)):
        some = list(rows.values_list("pk", flat=True)[:_FORGOTTEN_AT_ONCE])
        count += rows.model.objects.filter(pk__in=some).delete()[0]
    return count


@dataclass(frozen=True, slots=True)
class Window:
    """What a detector looks at: the hours of agents and rows of networks that are named, or all in a while."""

    hours: list[AgentAt] | None = None
    networks: list[int] | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def of_hours(self) -> tuple[str, list[Any]]:
        """The condition on the hours `p` of agents, with its parameters."""
        if self.hours is None:
            return "p.hour >= %s AND p.hour < %s", [self.since, self.until]
        named = "(p.agent_id, p.hour) IN (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]))"
        return named, [[agent for agent, _ in self.hours], [hour for _, hour in self.hours]]

    @property
    def of_networks(self) -> tuple[str, list[Any]]:
        """The condition on the rows `p` of networks, with its parameters."""
        if self.networks is None:
            return "p.first_at >= %s AND p.first_at < %s", [self.since, self.until]
        return "p.id = ANY(%s)", [self.networks]


_OTHER_NETWORKS: Final = """
SELECT p.session_id, p.first_at, o.address_class, p.address_class
FROM entitlements_sessionnetwork p CROSS JOIN LATERAL (
    SELECT o.id, o.address_class FROM entitlements_sessionnetwork o WHERE o.session_id = p.session_id
    ORDER BY o.first_at, o.id LIMIT 1) o
WHERE {which} AND o.id <> p.id ORDER BY p.first_at, p.id
"""
_BEFORE: Final = """
CROSS JOIN LATERAL (
    SELECT count(DISTINCT date_trunc('day', x.hour, 'UTC')) AS days, coalesce(sum(x.calls), 0)::bigint AS calls,
           coalesce(max(x.calls), 0)::bigint AS busiest
    FROM (SELECT x.hour, sum(x.calls) AS calls FROM entitlements_agenthour x
           WHERE x.agent_id = p.agent_id AND x.hour < date_trunc('day', p.hour, 'UTC')
             AND x.hour >= date_trunc('day', p.hour, 'UTC') - interval '{days} days' GROUP BY 1) x) w
"""
_NEAR: Final = """
EXISTS (SELECT FROM entitlements_agenthour x WHERE x.agent_id = p.agent_id
           AND x.hour < date_trunc('day', p.hour, 'UTC')
           AND x.hour >= date_trunc('day', p.hour, 'UTC') - interval '28 days'
           AND mod(24 + extract(hour FROM x.hour AT TIME ZONE 'UTC') - extract(hour FROM p.hour AT TIME ZONE 'UTC'), 24)
               IN (0, 1, 23)
           AND (extract(isodow FROM x.hour AT TIME ZONE 'UTC') > 5)
             = (extract(isodow FROM p.hour AT TIME ZONE 'UTC') > 5))
"""
_UNUSUAL_HOURS: Final = f"""
SELECT p.agent_id, p.hour, w.days, w.calls, w.busiest
FROM (SELECT DISTINCT p.agent_id, p.hour FROM entitlements_agenthour p WHERE {{which}}) p {_BEFORE.format(days=28)}
WHERE NOT {_NEAR} ORDER BY p.hour, p.agent_id
"""  # noqa: S608 - made of constants
_BUSY_HOURS: Final = f"""
SELECT p.agent_id, p.hour, p.calls, w.days, w.calls, w.busiest
FROM (SELECT p.agent_id, p.hour, sum(p.calls)::bigint AS calls FROM entitlements_agenthour p WHERE {{which}}
       GROUP BY 1, 2 HAVING sum(p.calls) >= {LEAST_IN_HOUR}) p {_BEFORE.format(days=28)}
ORDER BY p.hour, p.agent_id
"""  # noqa: S608 - made of constants
_FIRST_CLASSES: Final = f"""
SELECT p.agent_id, p.hour, p.tool_class, w.days, w.calls, w.busiest
FROM entitlements_agenthour p {_BEFORE.format(days=90)}
WHERE {{which}} AND NOT EXISTS (SELECT FROM entitlements_agenthour x WHERE x.agent_id = p.agent_id
      AND x.tool_class = p.tool_class AND x.hour < p.hour AND x.hour >= p.hour - interval '90 days')
ORDER BY p.hour, p.agent_id, p.tool_class
"""  # noqa: S608 - made of constants


def other_networks(window: Window) -> Iterator[tuple[UUID, datetime, str, str]]:
    """Return the networks that sessions came from beside the first: the session, since when, both classes."""
    yield from _rows(_OTHER_NETWORKS, *window.of_networks)


def unusual_hours(window: Window) -> Iterator[tuple[int, datetime, History]]:
    """Return the hours near which an agent made no call in the window before."""
    for agent, hour, *before in _rows(_UNUSUAL_HOURS, *window.of_hours):
        yield agent, hour, History(*before)


def busy_hours(window: Window) -> Iterator[tuple[int, datetime, int, History]]:
    """Return the hours of agents with many calls, and how many."""
    for agent, hour, calls, *before in _rows(_BUSY_HOURS, *window.of_hours):
        yield agent, hour, calls, History(*before)


def first_classes(window: Window) -> Iterator[tuple[int, datetime, str, History]]:
    """Return the hours in which an agent used a class of tools for the first time in the longer window."""
    for agent, hour, tool_class, *before in _rows(_FIRST_CLASSES, *window.of_hours):
        yield agent, hour, tool_class, History(*before)


def _rows(statement: str, which: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(which=which), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
