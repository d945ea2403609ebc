"""Right-sizing: proposals to reduce access that is larger than its use, with the calls that they would have denied.

A proposal is certain: every call is visible (grade A), and the access or what it renews is older than the window. A
tool that was not called in it could be dropped; a limit far above the largest number used could be lower
(`governance.reviews.usage.tighter_limits`). Nothing is reduced automatically; a person who may reduce a grant does.
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
"""Rounds a positive number as `tighter_limits` does."""
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
"""New maximums, by tool and by argument."""


class UsedMeanwhile(DomainError):
    """The use of this access changed, or the proposal is gone. Look at what is proposed now and try again."""

    code, status = "right_sizing_outdated", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could be removed from one grant: tools not called in the window, and limits far above their use.

    `keep` are the tools that were called; `replay` is the replay of the whole proposal.
    """

    grant: Grant
    drop: tuple[str, ...]
    keep: tuple[str, ...]
    tighten: tuple[Tightening, ...]
    replay: replay_actions.Replay

    @property
    def is_whole(self) -> bool:
        """Whether no tool is used, so that the whole grant could be revoked."""
        return not self.keep


@dataclass(slots=True)
class _Excess:
    """The part of one grant that is certainly unused: tools not called, and limits of the others."""

    drop: list[str]
    keep: list[str]
    tighten: list[Tightening]


def oversized(rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Filter the grants with a tool that is certainly unused, or a limit far above its use."""
    sql, values = _positional(_LARGER, _parameters(clock.now()))
    return rows.filter(pk__in=RawSQL(sql, values))  # noqa: S611 - made of constants


def proposals(rows: Iterable[Grant]) -> list[Proposal]:
    """Return a proposal with its replay for each grant of which something could be removed."""
    held = list(rows)
    excesses = {pk: excess for pk, excess in _excesses(held).items() if excess.drop or excess.tighten}
    pairs = [(grant, excesses[grant.pk]) for grant in held if grant.pk in excesses]
    replays = replay_actions.of_grants((grant, excess.drop, _lowered(grant, excess.tighten)) for grant, excess in pairs)
    return [
        Proposal(grant, tuple(excess.drop), tuple(excess.keep), tuple(excess.tighten), replays[grant.pk])
        for grant, excess in pairs
    ]


@transaction.atomic
def apply(grant: Grant, drop: Collection[str], tighten: Bounds | None = None, *, by: Person, reason: str) -> Grant:
    """Remove tools that are still unused from a grant, and lower limits that are still far above their use.

    Removing all tools revokes the grant. A limit may be lowered less than proposed, never more. The caller checks the
    permission. Raises ReasonRequired, UsedMeanwhile, and what the actions on grants raise.
    """
    if not reason.strip():
        raise ReasonRequired
    lower = {tool: most for tool, most in (tighten or {}).items() if most}
    locks.exclusive((Lock.GRANT, grant.pk))
    grant = Grant.objects.get(pk=grant.pk)  # read again under the lock
    excess = _excesses([grant]).get(grant.pk)
    if (
        excess is None
        or not (drop or lower)
        or not set(drop) <= set(excess.drop)
        or not _are_tightenings(lower, excess)
    ):
        raise UsedMeanwhile(**_as_json(excess))
    kept = {name: cap for name, cap in _limits(grant).items() if name not in drop}
    keep = {name: tighter_limits.tightened(cap, lower.get(name, {})) for name, cap in kept.items()}
    if keep:
        grants.reduce(grant.pk, keep, by=by.principal, reason=reason)
    else:
        grants.revoke(grant.pk, by=by.principal, reason=reason)
    return Grant.objects.get(pk=grant.pk)


def _are_tightenings(lower: Bounds, excess: _Excess) -> bool:
    """Whether each new limit leaves at least the headroom of the present proposal."""
    proposed = {(tightening.tool, tightening.argument): tightening for tightening in excess.tighten}
    wanted = [((tool, argument), most) for tool, caps in lower.items() for argument, most in caps.items()]
    return all(place in proposed and proposed[place].allows(most) for place, most in wanted)


def _as_json(excess: _Excess | None) -> dict[str, Any]:
    """Return the present proposal for the detail of the error."""
    tighten = (
        [
            {"tool": tightening.tool, "argument": tightening.argument, "proposed": tightening.proposed}
            for tightening in excess.tighten
        ]
        if excess
        else []
    )
    return {"unused": sorted(excess.drop) if excess else [], "tighten": tighten}


def _limits(grant: Grant) -> dict[str, dict[str, Any]]:
    return {line.tool.name: line.limits for line in grant.lines.all()}


def _lowered(grant: Grant, to: Iterable[Tightening]) -> dict[str, dict[str, Any]]:
    """Return the new limits of the tools that are tightened."""
    limits, caps = _limits(grant), dict[str, dict[str, Figure]]()
    for tightening in to:
        caps.setdefault(tightening.tool, {})[tightening.argument] = tightening.proposed
    return {tool: tighter_limits.tightened(limits[tool], most) for tool, most in caps.items()}


def _excesses(rows: list[Grant]) -> dict[UUID, _Excess]:
    """Return the certainly unused part of each grant in force that is old enough to tell."""
    now = clock.now()
    held = [
        grant
        for grant in rows
        if grant.state == Grant.State.ACTIVE and grant.ended_at is None and grant.expires_at > now
    ]
    prefetch_related_objects(held, "lines__tool")
    uses = usage.of_lines([grant.pk for grant in held], now)
    excesses: dict[UUID, _Excess] = {}
    for grant in held:
        for line in sorted(grant.lines.all(), key=lambda line: line.tool.name):
            use = uses[grant.pk, line.tool_id]
            if not use.full:
                continue
            excess = excesses.setdefault(grant.pk, _Excess([], [], []))
            (excess.drop if use.is_unused else excess.keep).append(line.tool.name)
            excess.tighten += tightenings(line.tool.name, line.limits, use)
    return excesses


def tightenings(tool: str, limits: Mapping[str, Any], use: usage.Use) -> list[Tightening]:
    """Return the limits of one tool that are far above its certain use."""
    return tighter_limits.of_line(tool, limits, use.numbers or {}, use.calls or 0) if use.full else []


def _parameters(now: datetime) -> dict[str, Any]:
    return {"now": now, "since": now - usage.WINDOW, "gateway": usage.GATEWAY}


def _positional(sql: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Turn named parameters into positional ones, which a part of a larger statement needs."""
    names = re.findall(r"%\((\w+)\)s", sql)
    return re.sub(r"%\(\w+\)s", "%s", sql), [values[name] for name in names]
