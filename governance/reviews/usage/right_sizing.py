"""Access that is larger than what is used of it: proposals at any time, beside the calls that they would have denied.

Proposed is only what is certain: every call is seen (grade A), and the access or what it renews is older than the
window. A tool that was not called once in it could go; a limit far above the largest number used could be lower
(`governance.reviews.usage.tighter_limits`). Nothing here cuts by itself; somebody who may reduce a grant does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet, prefetch_related_objects
from django.db.models.expressions import RawSQL

from audit import clock
from entitlements.errors import DomainError, ReasonRequired
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.reviews.usage import tighter_limits
from governance.reviews.usage.tighter_limits import Figure, Tightening

from . import replay as replay_actions
from . import usage

_BEGUN: Final = """
    SELECT g.id, g.starts_at, g.request_id FROM entitlements_grant g
    JOIN entitlements_entitlement e ON e.id = g.entitlement_id JOIN entitlements_system y ON y.id = e.system_id
    WHERE g.ended_at IS NULL AND g.state = 'active' AND g.expires_at > %(now)s AND y.kind = ANY(%(gateway)s)
"""
ROUNDED: Final = """
    (SELECT p * CASE WHEN n <= p THEN 1 WHEN n <= 2 * p THEN 2 WHEN n <= 5 * p THEN 5 ELSE 10 END
     FROM (SELECT n, power(10::numeric, floor(log(n))) AS p FROM (SELECT {least} AS n) given) scaled)
"""
"""As `tightening` rounds, of a number that is positive."""
_LARGER: Final = f"""
    WITH RECURSIVE chain AS ({usage.chain(_BEGUN)}), old AS (
        SELECT grant_id FROM chain GROUP BY 1 HAVING min(starts_at) <= %(since)s
    ), tail AS MATERIALIZED ({usage.TAIL}), use AS (
        SELECT c.grant_id, u.tool_id, sum(u.calls) AS calls FROM chain c
        JOIN ({usage.used("SELECT * FROM tail")}) u ON u.grant_id = c.member GROUP BY 1, 2
    ), known AS (
        SELECT c.grant_id, u.tool_id, u.name, max(u.most) AS most, sum(u.calls) AS calls FROM chain c
        JOIN ({usage.numbers("SELECT * FROM tail")}) u ON u.grant_id = c.member GROUP BY 1, 2, 3 HAVING max(u.most) > 0
    ), wide AS (
        SELECT k.grant_id FROM known k JOIN old USING (grant_id) JOIN use u USING (grant_id, tool_id)
        JOIN entitlements_grantline l USING (grant_id, tool_id)
        WHERE k.calls = u.calls AND jsonb_typeof(l.limits -> k.name -> 'max') = 'number'
          AND NOT EXISTS (SELECT FROM jsonb_object_keys(l.limits) named WHERE starts_with(named, '/'))
          AND (l.limits -> k.name ->> 'max')::numeric
              >= {tighter_limits.WORTH} * {ROUNDED.format(least=f"{tighter_limits.HEADROOM} * k.most")}
    )
    SELECT o.grant_id FROM old o WHERE EXISTS (SELECT FROM entitlements_grantline l
        LEFT JOIN use u ON u.grant_id = l.grant_id AND u.tool_id = l.tool_id
        WHERE l.grant_id = o.grant_id AND coalesce(u.calls, 0) = 0)
    UNION SELECT grant_id FROM wide
"""  # noqa: S608 - made of constants

type Bounds = Mapping[str, Mapping[str, Figure]]
"""The most that is left of arguments, by tool and by argument."""


class UsedMeanwhile(DomainError):
    """What of this proposal is used changed meanwhile, or it is gone: look at what is proposed now."""

    code, status = "right_sizing_outdated", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could go from one grant: tools that nobody called in the window, and the most of limits far above their use.

    `keep` are the tools that somebody called; `replay` is of all of it together.
    """

    grant: Grant
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    tighten: tuple[Tightening, ...]
    replay: replay_actions.Replay

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is used, so that it could go as a whole."""
        return not self.keep


@dataclass(slots=True)
class _Room:
    """What of one grant is certainly more than is used: tools that nobody called, and limits of those that stay."""

    drop: list[str]
    keep: list[str]
    tighten: list[Tightening]


def larger(rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Keep of some grants those of which a tool is certainly unused, or a limit far above its use."""
    sql, values = _positional(_LARGER, _asked(clock.now()))
    return rows.filter(pk__in=RawSQL(sql, values))  # noqa: S611 - made of constants


def proposals(rows: Iterable[Grant]) -> list[Proposal]:
    """Say of some grants what could go, each with its replay; of those of which nothing could, nothing."""
    held = list(rows)
    rooms = {pk: room for pk, room in _rooms(held).items() if room.drop or room.tighten}
    found = [(grant, rooms[grant.pk]) for grant in held if grant.pk in rooms]
    replays = replay_actions.of_grants((grant, room.drop, _lowered(grant, room.tighten)) for grant, room in found)
    return [
        Proposal(grant, tuple(room.drop), tuple(room.keep), tuple(room.tighten), replays[grant.pk])
        for grant, room in found
    ]


@transaction.atomic
def apply(grant: Grant, drop: Collection[str], tighten: Bounds | None = None, *, by: Person, reason: str) -> Grant:
    """Take from a grant tools that are still unused, and lower limits that are still far above their use.

    All tools of it ends it. A limit may be lowered less than is proposed, never more. Who may is asked at the door.
    Raises ReasonRequired, UsedMeanwhile, and what the verbs on grants raise.
    """
    if not reason.strip():
        raise ReasonRequired
    lower = {tool: most for tool, most in (tighten or {}).items() if most}
    locks.exclusive((Lock.GRANT, grant.pk))
    grant = Grant.objects.get(pk=grant.pk)  # as it is now that nobody else changes it
    room = _rooms([grant]).get(grant.pk)
    if room is None or not (drop or lower) or not set(drop) <= set(room.drop) or not _are_tightenings(lower, room):
        raise UsedMeanwhile(**_as_json(room))
    kept = {name: cap for name, cap in _limits(grant).items() if name not in drop}
    keep = {name: tighter_limits.tightened(cap, lower.get(name, {})) for name, cap in kept.items()}
    if keep:
        grants.reduce(grant.pk, keep, by=by.principal, reason=reason)
    else:
        grants.revoke(grant.pk, by=by.principal, reason=reason)
    return Grant.objects.get(pk=grant.pk)


def _are_tightenings(lower: Bounds, room: _Room) -> bool:
    """Whether each lower limit leaves at least the headroom of what is proposed now."""
    proposed = {(each.tool, each.argument): each for each in room.tighten}
    asked = [((tool, argument), most) for tool, caps in lower.items() for argument, most in caps.items()]
    return all(place in proposed and proposed[place].allows(most) for place, most in asked)


def _as_json(room: _Room | None) -> dict[str, Any]:
    """Say what is proposed now, beside the refusal."""
    tighten = [{"tool": e.tool, "argument": e.argument, "proposed": e.proposed} for e in room.tighten] if room else []
    return {"unused": sorted(room.drop) if room else [], "tighten": tighten}


def _limits(grant: Grant) -> dict[str, dict[str, Any]]:
    return {line.tool.name: line.limits for line in grant.lines.all()}


def _lowered(grant: Grant, to: Iterable[Tightening]) -> dict[str, dict[str, Any]]:
    """Return the limits of those tools that are tightened, as they would be."""
    limits, caps = _limits(grant), dict[str, dict[str, Figure]]()
    for each in to:
        caps.setdefault(each.tool, {})[each.argument] = each.proposed
    return {tool: tighter_limits.tightened(limits[tool], most) for tool, most in caps.items()}


def _rooms(rows: list[Grant]) -> dict[UUID, _Room]:
    """Say of each grant in force that is old enough to tell what is more than is used of it, by name."""
    now = clock.now()
    held = [
        each for each in rows if each.state == Grant.State.ACTIVE and each.ended_at is None and each.expires_at > now
    ]
    prefetch_related_objects(held, "lines__tool")
    found = usage.of_lines([grant.pk for grant in held], now)
    rooms: dict[UUID, _Room] = {}
    for grant in held:
        for line in sorted(grant.lines.all(), key=lambda each: each.tool.name):
            use = found[grant.pk, line.tool_id]
            if not use.full:
                continue
            room = rooms.setdefault(grant.pk, _Room([], [], []))
            (room.drop if use.is_unused else room.keep).append(line.tool.name)
            room.tighten += could_tighten(line.tool.name, line.limits, use)
    return rooms


def could_tighten(tool: str, limits: Mapping[str, Any], use: usage.Use) -> list[Tightening]:
    """Return which limits of one tool are far above what was certainly used of it."""
    return tighter_limits.of_line(tool, limits, use.numbers or {}, use.calls or 0) if use.full else []


def _asked(now: datetime) -> dict[str, Any]:
    return {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY}


def _positional(sql: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Turn named parameters into positions, which is what a part of a larger statement can have."""
    names = re.findall(r"%\((\w+)\)s", sql)
    return re.sub(r"%\(\w+\)s", "%s", sql), [values[name] for name in names]
