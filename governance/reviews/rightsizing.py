"""Access that is larger than what is used of it: proposals at any time, beside the calls that they would have denied.

Proposed is only what is certain: every call is seen (grade A), the access or what it renews is older than the window,
and a tool was not called once in it. Nothing here cuts by itself; somebody who may reduce a grant does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from audit import clock
from entitlements import grants, locks
from entitlements.errors import DomainError, ReasonRequired
from entitlements.locks import Lock
from entitlements.models import Grant, Person

from . import replaying, usage

_IN_FORCE: Final = """
    SELECT g.id, g.starts_at, g.request_id FROM entitlements_grant g
    JOIN entitlements_entitlement e ON e.id = g.entitlement_id JOIN entitlements_system y ON y.id = e.system_id
    WHERE g.ended_at IS NULL AND g.state = 'active' AND g.expires_at > %(now)s AND y.kind = ANY(%(gateway)s)
"""
_USE: Final = """
    SELECT c.grant_id, u.tool_id, sum(u.calls) AS calls, max(u.last_at) AS last FROM chain c
    JOIN ({used}) u ON u.grant_id = c.member GROUP BY 1, 2
"""


def _statement(grants_of: str, last: str) -> str:
    return f"""
    WITH RECURSIVE chain AS ({usage.chain(grants_of)}), old AS (
        SELECT grant_id FROM chain GROUP BY 1 HAVING min(starts_at) <= %(since)s
    ), use AS ({_USE.format(used=usage.USED)}) {last}
    """  # noqa: S608 - made of constants


_LARGER: Final = _statement(
    _IN_FORCE,
    """SELECT o.grant_id FROM old o WHERE EXISTS (SELECT FROM entitlements_grantline l
        LEFT JOIN use u ON u.grant_id = l.grant_id AND u.tool_id = l.tool_id
        WHERE l.grant_id = o.grant_id AND coalesce(u.calls, 0) = 0)""",
)
_LINES: Final = _statement(
    f"{_IN_FORCE} AND g.id = ANY(%(grants)s::uuid[])",
    """SELECT o.grant_id, t.name, coalesce(u.calls, 0), u.last FROM old o
        JOIN entitlements_grantline l ON l.grant_id = o.grant_id JOIN entitlements_tool t ON t.id = l.tool_id
        LEFT JOIN use u ON u.grant_id = l.grant_id AND u.tool_id = l.tool_id ORDER BY 1, 2""",
)


class UsedMeanwhile(DomainError):
    """A tool of this proposal was used meanwhile, or is gone: look at what is proposed now."""

    code, status = "right_sizing_outdated", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could go from one grant: tools that nobody called in the window. `keep` are those that somebody called."""

    grant: Grant
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    replay: replaying.Replay

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is used, so that it could go as a whole."""
        return not self.keep


def larger(rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Keep of some grants those of which a tool is certainly unused."""
    now = clock.now()
    sql, values = _positional(_LARGER, _asked(now))
    return rows.filter(pk__in=RawSQL(sql, values))  # noqa: S611 - made of constants


def proposals(rows: Iterable[Grant]) -> list[Proposal]:
    """Say of some grants what could go, each with its replay; of those of which nothing could, nothing."""
    held = list(rows)
    unused, used = _by_use([grant.pk for grant in held])
    return [
        Proposal(grant, drop, tuple(used.get(grant.pk, ())), replaying.of_grant(grant, drop, {}))
        for grant in held
        if (drop := tuple(unused.get(grant.pk, ())))
    ]


@transaction.atomic
def apply(grant: Grant, drop: Collection[str], *, by: Person, reason: str) -> Grant:
    """Take from a grant tools that are still unused; all of them ends it. Who may is asked at the door.

    Raises ReasonRequired, UsedMeanwhile, and what the verbs on grants raise.
    """
    if not reason.strip():
        raise ReasonRequired
    locks.exclusive((Lock.GRANT, grant.pk))
    unused, _used = _by_use([grant.pk])
    if not drop or not set(drop) <= set(unused.get(grant.pk, ())):
        raise UsedMeanwhile(unused=sorted(unused.get(grant.pk, ())))
    keep = {line.tool.name: line.limits for line in grant.lines.select_related("tool") if line.tool.name not in drop}
    if keep:
        grants.reduce(grant.pk, keep, by=by.principal, reason=reason)
    else:
        grants.revoke(grant.pk, by=by.principal, reason=reason)
    return Grant.objects.get(pk=grant.pk)


def _by_use(ids: list[UUID]) -> tuple[dict[UUID, list[str]], dict[UUID, list[str]]]:
    """Name the tools of each grant that is old enough to tell: those nobody called, and those somebody did."""
    unused: dict[UUID, list[str]] = {}
    used: dict[UUID, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LINES, {**_asked(clock.now()), "grants": ids})
        for grant, tool, calls, _last in cursor.fetchall():
            (used if calls else unused).setdefault(grant, []).append(tool)
    return unused, used


def _asked(now: datetime) -> dict[str, Any]:
    return {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY}


def _positional(sql: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Turn named parameters into positions, which is what a part of a larger statement can have."""
    names = re.findall(r"%\((\w+)\)s", sql)
    return re.sub(r"%\(\w+\)s", "%s", sql), [values[name] for name in names]
