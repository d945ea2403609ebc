"""The use of each tool line: the audit log is read into one row per line and day, and counted from there.

The cursor moves in the transaction that adds the calls up, so a worker that is killed neither loses nor doubles one.
The end of the log that the sweep has not read yet, and events that are not sealed, are counted with it, so that a
number is as exact as if the whole log had been read. Calls are visible only where each passes our gateway (grade A).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from audit import bodies, stream
from entitlements.catalog.models import System
from governance.reviews.usage.models import UsageDay
from governance.reviews.usage.tighter_limits import Figure, NumberRange

CURSOR: Final = "usage"
AT_ONCE: Final = 20_000
WINDOW: Final = timedelta(days=90)
"""How far back calls are counted."""
WEEKS: Final = 13

GATEWAY: Final = [kind.value for kind in System.SERVED]

GRADE: Final = "CASE WHEN {kind} = ANY(%(gateway)s) THEN 'A' WHEN {kind} = 'mcp' THEN 'B' ELSE 'C' END"
"""How much is visible of a kind of system: every call, only tokens, or nothing."""


def calls(source: str) -> str:
    """Return the statement that reads the calls among some events; `source` selects those as `v`.

    Each call is read once and joined with its grant before its tool (`OFFSET 0`): the planner assumes that calls are
    rare, and would compare every tool with the text of every event.
    """
    return f"""
    SELECT c.agent_id, c.grant_id, t.id AS tool_id, c.at, c.allowed, c.person, c.measured
    FROM (
        SELECT coalesce(g.agent_id, a.id) AS agent_id, g.id AS grant_id, coalesce(e.system_id, y.id) AS system_id,
               r.tool, r.at, r.allowed, r.person, r.measured
        FROM (
            SELECT v.at, v.action = 'call.allowed' AS allowed, b.body -> 'detail' ->> 'tool' AS tool,
                   hashtextextended(b.body ->> 'on_behalf_of', 0) AS person, n.system,
                   b.body -> 'detail' -> 'measured' AS measured,
                   CASE WHEN n.held ~ '^[0-9a-f-]{{36}}$' THEN n.held::uuid END AS held,
                   CASE WHEN starts_with(b.body ->> 'actor', 'agent:') THEN substr(b.body ->> 'actor', 7) END AS agent
            FROM {source}
            CROSS JOIN LATERAL (SELECT {bodies.as_jsonb("v.body")} AS body) b
            CROSS JOIN LATERAL (SELECT max(substr(x, 7)) FILTER (WHERE starts_with(x, 'grant:')) AS held,
                max(split_part(substr(x, 6), '/', 1)) FILTER (WHERE starts_with(x, 'tool:')) AS system
                FROM unnest(v.links) x) n
            WHERE v.action IN ('call.allowed', 'call.denied') OFFSET 0
        ) r
        LEFT JOIN entitlements_grant g ON g.id = r.held
        LEFT JOIN entitlements_entitlement e ON e.id = g.entitlement_id
        LEFT JOIN entitlements_system y ON y.slug = r.system
        LEFT JOIN entitlements_agent a ON a.slug = r.agent
        WHERE coalesce(g.agent_id, a.id) IS NOT NULL OFFSET 0
    ) c
    JOIN entitlements_tool t ON t.system_id = c.system_id AND t.name = c.tool
    """  # noqa: S608 - made of constants


_NUMBERS: Final = """
    SELECT key AS name, (value #>> '{{}}')::numeric AS value FROM jsonb_each(
        CASE WHEN jsonb_typeof({given}) = 'object' THEN {given} ELSE '{{}}' END)
    WHERE CASE jsonb_typeof(value) WHEN 'number' THEN abs((value #>> '{{}}')::numeric) <= 1e300 END
"""
"""The numbers of one call, by name; not those that Python's floats do not hold."""
_BOUNDS: Final = """
    SELECT key AS name, (value ->> 0)::numeric AS least, (value ->> 1)::numeric AS most,
           coalesce((value ->> 2)::bigint, 0) AS calls FROM jsonb_each({given})
"""
"""The smallest and largest value of each number of a day, by name, and in how many calls it was: 0 in older rows."""
_RANGES: Final = "jsonb_object_agg(name, jsonb_build_array(least, most, calls))"

_ADD: Final = f"""
WITH seen AS ({calls(f"{stream.LEAVES} v")}), measured AS (
    SELECT agent_id, grant_id, tool_id, (at AT TIME ZONE 'UTC')::date AS day, n.name, n.value
    FROM seen CROSS JOIN LATERAL ({_NUMBERS.format(given="measured")}) n WHERE allowed AND grant_id IS NOT NULL
), ranges AS (
    SELECT agent_id, grant_id, tool_id, day, {_RANGES} AS ranges FROM (
        SELECT agent_id, grant_id, tool_id, day, name, min(value) AS least, max(value) AS most, count(*) AS calls
        FROM measured GROUP BY 1, 2, 3, 4, 5) m
    GROUP BY 1, 2, 3, 4
), counted AS (
    SELECT agent_id, grant_id, tool_id, (at AT TIME ZONE 'UTC')::date AS day, count(*) FILTER (WHERE allowed) AS calls,
           count(*) FILTER (WHERE NOT allowed) AS denied,
           coalesce(array_agg(DISTINCT person) FILTER (WHERE allowed AND person IS NOT NULL), '{{}}') AS people,
           max(at) FILTER (WHERE allowed) AS last
    FROM seen GROUP BY 1, 2, 3, 4
)
INSERT INTO governance_usageday AS d (agent_id, grant_id, tool_id, day, calls, denied, people, ranges, last_at)
SELECT c.agent_id, c.grant_id, c.tool_id, c.day, calls, denied, people, coalesce(r.ranges, '{{}}'), last
FROM counted c LEFT JOIN ranges r USING (agent_id, grant_id, tool_id, day) ORDER BY 1, 3, 4, 2
ON CONFLICT (agent_id, tool_id, day, grant_id) DO UPDATE SET
    calls = d.calls + excluded.calls, denied = d.denied + excluded.denied,
    ranges = (SELECT coalesce({_RANGES}, '{{}}') FROM (
        SELECT name, min(least) AS least, max(most) AS most, sum(calls) AS calls FROM (
            {_BOUNDS.format(given="d.ranges")} UNION ALL {_BOUNDS.format(given="excluded.ranges")}) each GROUP BY 1) m),
    people = ARRAY(SELECT DISTINCT unnest(d.people || excluded.people) ORDER BY 1),
    last_at = greatest(d.last_at, excluded.last_at)
"""  # noqa: S608 - made of constants


def tail(more: str = "") -> str:
    """Return the statement that reads the calls that the sweep has not added up yet; `more` is a further condition."""
    return calls(f"""(
        SELECT e.* FROM leaves l JOIN events e ON e.at = l.at AND e.uuid = l.uuid
        WHERE l.index >= coalesce((SELECT position FROM cursors WHERE name = 'usage'), 0) {more}
        UNION ALL SELECT e.* FROM pending p JOIN events e ON e.at = p.at AND e.uuid = p.uuid {more}) v""")  # noqa: S608


TAIL: Final = tail()
TAIL_OF_CHAIN: Final = tail("AND e.links && ARRAY(SELECT 'grant:' || member FROM chain)")
"""As `TAIL`, for the grants of a `chain` alone: found by their links, however much is not sealed yet."""


def used(tail: str) -> str:
    """Return the statement that counts every call since a moment; `tail` reads the calls not added up yet."""
    return f"""
    SELECT grant_id, agent_id, tool_id, calls, denied, last_at FROM governance_usageday
    WHERE day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT grant_id, agent_id, tool_id, allowed::int, (NOT allowed)::int, CASE WHEN allowed THEN at END FROM ({tail}) t
    WHERE at >= %(since)s AND at <= %(now)s
    """  # noqa: S608 - made of constants


USED_IN_CHAIN: Final = used(TAIL_OF_CHAIN)
"""As `USED`, for a `chain` of grants."""
USED: Final = used(TAIL)
"""Every call since a moment, from the beginning of its day; needs the parameters `since` and `now`."""


def numbers(tail: str) -> str:
    """Return the statement that reads each number of allowed calls since a moment: the largest by day, the calls."""
    return f"""
    SELECT d.grant_id, d.tool_id, b.name, b.most, b.calls FROM governance_usageday d
    CROSS JOIN LATERAL ({_BOUNDS.format(given="d.ranges")}) b
    WHERE day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date AND d.ranges <> '{{}}'
    UNION ALL
    SELECT t.grant_id, t.tool_id, n.name, n.value, 1 FROM ({tail}) t
    CROSS JOIN LATERAL ({_NUMBERS.format(given="t.measured")}) n WHERE t.allowed AND at >= %(since)s AND at <= %(now)s
    """  # noqa: S608 - made of constants


def chain(grants: str) -> str:
    """Return the recursive query that pairs each grant with all that it renews, and their starts.

    `grants` selects `id`, `starts_at` and `request_id` of the grants to begin with.
    """
    return f"""
    SELECT id AS grant_id, id AS member, starts_at, request_id FROM ({grants}) first
    UNION
    SELECT c.grant_id, o.id, o.starts_at, o.request_id FROM chain c
    JOIN governance_accessrequest r ON r.id = c.request_id JOIN entitlements_grant o ON o.id = r.renews_id
    """  # noqa: S608 - made of constants


_OF_LINES: Final = f"""
WITH RECURSIVE chain AS ({
    chain("SELECT id, starts_at, request_id FROM entitlements_grant WHERE id = ANY(%(grants)s::uuid[])")
}), seen AS (
    SELECT c.grant_id, u.tool_id, u.calls, u.denied, u.last_at, u.people, u.ranges FROM chain c JOIN (
        SELECT grant_id, tool_id, calls, denied, last_at, people, ranges FROM governance_usageday
        WHERE day >= (%(since)s::timestamptz AT TIME ZONE 'UTC')::date
        UNION ALL
        SELECT grant_id, tool_id, allowed::int, (NOT allowed)::int, CASE WHEN allowed THEN at END,
               CASE WHEN allowed AND person IS NOT NULL THEN ARRAY[person] ELSE '{{}}' END,
               CASE WHEN allowed
                    THEN (SELECT coalesce(jsonb_object_agg(name, jsonb_build_array(value, value, 1)), '{{}}')
                          FROM ({_NUMBERS.format(given="measured")}) n) ELSE '{{}}' END
        FROM ({TAIL_OF_CHAIN}) t WHERE at >= %(since)s AND at <= %(now)s
    ) u ON u.grant_id = c.member
), used AS (
    SELECT grant_id, tool_id, sum(calls) AS calls, sum(denied) AS denied, max(last_at) AS last FROM seen GROUP BY 1, 2
), people AS (
    SELECT grant_id, tool_id, count(DISTINCT who) AS n FROM seen, unnest(people) AS who GROUP BY 1, 2
), ranges AS (
    SELECT grant_id, tool_id, {_RANGES} AS ranges FROM (
        SELECT grant_id, tool_id, b.name, min(b.least) AS least, max(b.most) AS most, sum(b.calls) AS calls
        FROM seen CROSS JOIN LATERAL ({_BOUNDS.format(given="ranges")}) b GROUP BY 1, 2, 3) m
    GROUP BY 1, 2
), line AS (
    SELECT l.grant_id, l.tool_id, {GRADE.format(kind="y.kind")} AS grade,
           (SELECT min(c.starts_at) FROM chain c WHERE c.grant_id = l.grant_id) <= %(since)s AS full_window
    FROM entitlements_grantline l JOIN entitlements_tool t ON t.id = l.tool_id
    JOIN entitlements_system y ON y.id = t.system_id WHERE l.grant_id = ANY(%(grants)s::uuid[])
)
SELECT l.grant_id, l.tool_id, l.grade, l.full_window AND l.grade = 'A',
       CASE WHEN l.grade = 'A' THEN coalesce(u.calls, 0)::int END,
       CASE WHEN l.grade = 'A' THEN coalesce(u.denied, 0)::int END,
       CASE WHEN l.grade = 'A' THEN coalesce(p.n, 0)::int END, CASE WHEN l.grade = 'A' THEN u.last END,
       CASE WHEN l.grade = 'A' THEN coalesce(r.ranges, '{{}}') END
FROM line l LEFT JOIN used u USING (grant_id, tool_id) LEFT JOIN people p USING (grant_id, tool_id)
LEFT JOIN ranges r USING (grant_id, tool_id)
"""  # noqa: S608 - made of constants


def roll_up(limit: int = AT_ONCE) -> int:
    """Add the calls among the next sealed events to their days; says how many events were read. Two at once share."""
    with stream.consume(CURSOR, limit) as leaves:
        if leaves:
            with connection.cursor() as statement:
                statement.execute(_ADD, stream.bounds(leaves))
    return len(leaves)


_RENEWED: Final = """
SELECT g.id, r.renews_id FROM entitlements_grant g JOIN governance_accessrequest r ON r.id = g.request_id
WHERE g.id = ANY(%s::uuid[]) AND r.renews_id IS NOT NULL
"""


def _members(grants: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Return each grant that some grants renew, and these themselves, with the grants that renew it.

    Step by step, since few are renewed: joined to a recursive query, the use of all grants would be read.
    """
    members, newest = {grant: {grant} for grant in grants}, set(grants)
    while newest:
        with connection.cursor() as cursor:
            cursor.execute(_RENEWED, [list(newest)])
            renewed = cursor.fetchall()
        newest = set()
        for grant, before in renewed:
            known = members.setdefault(before, set())
            if not members[grant] <= known:
                known |= members[grant]
                newest.add(before)
    return members


def weekly(grants: Collection[UUID], now: datetime) -> dict[UUID, list[int]]:
    """Return the calls under some grants, and what they renew, in each of the last thirteen weeks, the oldest first."""
    by_grant: dict[UUID, list[int]] = defaultdict(lambda: [0] * WEEKS)
    since = now.date() - timedelta(weeks=WEEKS) + timedelta(days=1)
    members = _members(grants)
    rows = UsageDay.objects.filter(grant__in=members, day__gte=since, day__lte=now.date())
    for member, day, count in rows.values_list("grant", "day", "calls"):
        for grant in members[member]:
            by_grant[grant][(day - since).days // 7] += count
    return dict(by_grant)


@dataclass(frozen=True, slots=True)
class Use:
    """The use of one tool line in the window. Numbers are None where calls bypass our gateway.

    `people` counts the people of allowed calls, `denied` the refused calls of the tool. `full`: the line, or what it
    renews, is older than the window, so that no call means that it is unused. `numbers`: each number among the
    arguments of allowed calls that a limit bounds, by name.
    """

    grade: str
    full: bool
    calls: int | None
    denied: int | None
    people: int | None
    last: datetime | None
    numbers: Mapping[str, NumberRange] | None = None

    @property
    def ranges(self) -> dict[str, list[Figure]] | None:
        """The smallest and largest value of each number, by name."""
        return None if self.numbers is None else {name: [n.least, n.most] for name, n in self.numbers.items()}

    @property
    def is_unused(self) -> bool:
        """Whether the line is certainly unused."""
        return self.full and self.calls == 0


def of_lines(grants: Collection[UUID], now: datetime) -> dict[tuple[UUID, int], Use]:
    """Return the use of each line of some grants, with what they renew, in one statement."""
    parameters: dict[str, Any] = {"grants": list(grants), "since": now - WINDOW, "now": now, "gateway": GATEWAY}
    with connection.cursor() as cursor:
        cursor.execute(_OF_LINES, parameters)
        return {
            (grant, tool): Use(grade, full, calls, denied, people, last, _numbers(ranges))
            for grant, tool, grade, full, calls, denied, people, last, ranges in cursor.fetchall()
        }


def _numbers(ranges: str | None) -> dict[str, NumberRange] | None:
    return None if ranges is None else {name: NumberRange(*bounds) for name, bounds in json.loads(ranges).items()}


def denied_beyond(agent: int, now: datetime) -> list[tuple[str, int]]:
    """Return the tools that an agent called without a grant, with how often, the most first."""
    rows = UsageDay.objects.filter(agent=agent, grant=None, denied__gt=0, day__gte=(now - WINDOW).date())
    counted = rows.values("tool__system__slug", "tool__name").annotate(n=Sum("denied")).order_by("-n", "tool__name")
    return [(f"{row['tool__system__slug']}/{row['tool__name']}", row["n"]) for row in counted[:20]]
