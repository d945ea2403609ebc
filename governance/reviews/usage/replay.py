"""Replays the calls of the last ninety days under a cut, from the audit log; nothing is changed.

A call would have been denied when it went under the grant, or one that it renews, to a tool that the cut takes away,
and no other grant of the agent for the same people covers that tool. Of a call's arguments the log holds a digest and
the numbers that a limit bounds. A lower maximum is replayed on those numbers. Where another limit becomes tighter, a
number was not recorded, or the call may pass by another grant, the calls count as undecided, never as harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import bodies, clock
from entitlements.decisions import limits as argument_limits
from entitlements.errors import DomainError
from entitlements.grants.models import Grant, GrantLine
from governance.reviews.decisions.models import Draft
from governance.reviews.items.models import ReviewLine

from . import usage

_CHAIN: Final = f"""WITH RECURSIVE chain AS ({
    usage.chain("SELECT id, starts_at, request_id FROM entitlements_grant WHERE id = ANY(%(grants)s::uuid[])")
})"""  # noqa: S608 - made of constants
_CALLS: Final = f"""{_CHAIN}
SELECT c.grant_id, u.tool_id, sum(u.calls) FROM chain c JOIN ({usage.USED_IN_CHAIN}) u ON u.grant_id = c.member
 GROUP BY 1, 2
"""  # noqa: S608 - as above
_NUMBERS: Final = f"""{_CHAIN}
SELECT c.grant_id, m.tool_id, m.measured::text, count(*) FROM chain c JOIN ({
    usage.calls('''(SELECT e.* FROM events e WHERE e.at <= %(now)s
                     AND e.at >= date_trunc('day', %(since)s::timestamptz, 'UTC')
                     AND e.links && ARRAY(SELECT 'grant:' || member FROM chain)) v''')
}) m ON m.grant_id = c.member
 WHERE m.allowed AND m.measured IS NOT NULL AND m.tool_id = ANY(%(tools)s) GROUP BY 1, 2, 3
"""  # noqa: S608 - as above
"""From the beginning of the first day, as calls are counted."""
_SINCE: Final = f"{_CHAIN} SELECT grant_id, min(starts_at) FROM chain GROUP BY 1"  # noqa: S608 - as above


class UnknownLine(DomainError):
    """The grant does not hold this tool."""

    code, status = "grant_line_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class _Cut:
    """The effect on one tool line: dropped, kept with new limits (`limits`), or kept as it is."""

    line: GrantLine
    is_dropped: bool
    limits: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The effect that a cut would have had since `since`. `visible` is false where calls bypass our gateway.

    `covered` names dropped tools that another grant still gives.
    """

    since: datetime
    visible: bool
    full: bool
    calls: int
    denied: int
    undecided: int
    covered: tuple[str, ...]
    tools: tuple[tuple[str, int], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the replay as JSON; numbers are null where calls are not visible."""
        return {
            "since": self.since,
            "visible": self.visible,
            "full_window": self.full,
            "calls": self.calls if self.visible else None,
            "would_be_denied": self.denied if self.visible else None,
            "undecided": self.undecided if self.visible else None,
            "still_covered": list(self.covered),
            "denied_by_tool": dict(self.tools) if self.visible else {},
        }


type Cut = tuple[Grant, Collection[str], Mapping[str, Mapping[str, Any]]]
"""A cut of one grant: tools to drop by name, and new limits by tool."""


def of_grant(grant: Grant, drop: Collection[str], limits: Mapping[str, Mapping[str, Any]]) -> Replay:
    """Replay a cut of one grant. Raises UnknownLine and LimitMalformed."""
    return of_grants([(grant, drop, limits)])[grant.pk]


def of_grants(cuts: Iterable[Cut]) -> dict[UUID, Replay]:
    """Replay cuts of several grants, each on its own; the log is read once. Raises as `of_grant`."""
    cuts_of = {grant.pk: _cuts(grant, drop, limits) for grant, drop, limits in cuts}
    log_data = _read([cut for of_one in cuts_of.values() for cut in of_one])
    return {pk: _replay(of_one, log_data, [pk] if of_one else []) for pk, of_one in cuts_of.items()}


def _cuts(grant: Grant, drop: Collection[str], limits: Mapping[str, Mapping[str, Any]]) -> list[_Cut]:
    held = {line.tool.name: line for line in grant.lines.select_related("tool")}
    for name in (*drop, *limits):
        if name not in held:
            raise UnknownLine(tool=name[:128])
    return [_cut(line, name in drop, limits.get(name)) for name, line in held.items()]


def of_lines(
    lines: Iterable[ReviewLine], kept: Collection[int], limits: Mapping[int, Mapping[str, Any]] | None = None
) -> Replay:
    """Replay keeping some of an item's lines, and those in `limits` with new limits.

    Lines that a grant has lost since are left out.
    """
    line_keys = {(line.grant_id, line.tool_id): line.pk for line in lines}
    rows = GrantLine.objects.filter(grant__in={grant for grant, _ in line_keys}).select_related("tool")
    cut_rows = [(row, line_keys.get((row.grant_id, row.tool_id))) for row in rows]
    cuts = [_cut(row, pk is not None and pk not in kept, (limits or {}).get(pk or 0)) for row, pk in cut_rows]
    return _replay(cuts, _read(cuts), list({cut.line.grant_id for cut in cuts}))


def of_draft(draft: Draft, lines: Iterable[ReviewLine]) -> Replay:
    """Replay a reviewer's draft."""
    return of_lines(lines, draft.kept_lines, {int(line): caps for line, caps in draft.limits.items()})


def _cut(line: GrantLine, is_dropped: bool, limits: Mapping[str, Any] | None) -> _Cut:  # noqa: FBT001 - its one question
    return _Cut(line, is_dropped, None if is_dropped or limits == line.limits else limits)


@dataclass(frozen=True, slots=True)
class _LogData:
    """The log's data about some grants: calls by line, the start of each, results of calls decided by their numbers."""

    now: datetime
    since: datetime
    grants: dict[UUID, Grant]
    calls: dict[tuple[UUID, int], int]
    begun: dict[UUID, datetime]
    decided: dict[tuple[UUID, int], tuple[int, int]]


def _read(cuts: list[_Cut]) -> _LogData:
    """Read the data to replay some cuts, for any number of grants."""
    now = clock.now()
    since, ids = now - usage.WINDOW, list({cut.line.grant_id for cut in cuts})
    grants = Grant.objects.filter(pk__in=ids).select_related("entitlement__system").in_bulk()
    decided = _decided([cut for cut in cuts if cut.limits is not None], since, now)
    return _LogData(now, since, grants, _counted(ids, since, now), _begun(ids), decided)


def _replay(cuts: list[_Cut], log_data: _LogData, grant_ids: Collection[UUID]) -> Replay:
    """Return the effect of these cuts of these grants."""
    dropped = {(cut.line.grant_id, cut.line.tool_id) for cut in cuts if cut.is_dropped}
    touched = dropped | {(cut.line.grant_id, cut.line.tool_id) for cut in cuts if cut.limits is not None}
    elsewhere = _elsewhere([log_data.grants[pk] for pk in grant_ids], touched, dropped, log_data.now)
    denied: dict[str, int] = {}
    covered, undecided = set(), 0
    for cut in cuts:
        place, name = (cut.line.grant_id, cut.line.tool_id), cut.line.tool.name
        calls = log_data.calls.get(place, 0)
        if cut.is_dropped and place in elsewhere:
            covered.add(name)
        elif cut.is_dropped:
            denied[name] = denied.get(name, 0) + calls
        elif cut.limits is not None:
            passed, refused = log_data.decided.get(place, (0, 0))
            refused = 0 if place in elsewhere else refused  # by limits of its own the other access may let it pass
            denied[name] = denied.get(name, 0) + refused
            undecided += max(0, calls - passed - refused)
    return Replay(
        since=log_data.since,
        visible=all(log_data.grants[pk].entitlement.system.kind in usage.GATEWAY for pk in grant_ids),
        full=all(log_data.begun[pk] <= log_data.since for pk in grant_ids),
        calls=sum(calls for (pk, _tool), calls in log_data.calls.items() if pk in grant_ids),
        denied=sum(denied.values()),
        undecided=undecided,
        covered=tuple(sorted(covered)),
        tools=tuple(sorted(denied.items())),
    )


def _decided(cuts: list[_Cut], since: datetime, now: datetime) -> dict[tuple[UUID, int], tuple[int, int]]:
    """Decide recorded calls by their numbers under tighter limits; return by line how many pass and how many do not."""
    if not cuts:
        return {}
    by_place = {(cut.line.grant_id, cut.line.tool_id): cut for cut in cuts}
    ids: dict[str, Any] = {"grants": [grant for grant, _ in by_place], "tools": [tool for _, tool in by_place]}
    counts: dict[tuple[UUID, int], tuple[int, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERS, {**ids, "since": since, "now": now})
        for grant, tool, measured, calls in cursor.fetchall():
            if (cut := by_place.get((grant, tool))) is None or cut.limits is None:
                continue
            would = argument_limits.would_pass(cut.line.limits, cut.limits, bodies.parse(measured or "").numbers())
            passed, refused = counts.get((grant, tool), (0, 0))
            counts[grant, tool] = (passed + calls * (would is True), refused + calls * (would is False))
    return counts


def _counted(grants: list[UUID], since: datetime, now: datetime) -> dict[tuple[UUID, int], int]:
    """Count the allowed calls under some grants, and what they renew, by tool; exact, whatever the sweep has read."""
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, {"grants": grants, "since": since, "now": now})
        return {(grant, tool): int(calls) for grant, tool, calls in cursor.fetchall()}


def _begun(grants: list[UUID]) -> dict[UUID, datetime]:
    """Return since when each grant is held, with what it renews."""
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, {"grants": grants})
        return dict(cursor.fetchall())


def _elsewhere(
    grants: Iterable[Grant], touched: Collection[tuple[UUID, int]], dropped: Collection[tuple[UUID, int]], now: datetime
) -> set[tuple[UUID, int]]:
    """Return the cut lines that another grant of the agent for the same people gives, and goes on giving."""
    elsewhere: set[tuple[UUID, int]] = set()
    for grant in grants:
        tools = {tool for grant_id, tool in touched if grant_id == grant.pk}
        others = GrantLine.objects.filter(
            tool__in=tools,
            grant__agent=grant.agent_id,
            grant__subjects_digest=grant.subjects_digest,
            grant__state=Grant.State.ACTIVE,
            grant__starts_at__lte=now,
            grant__expires_at__gt=now,
        ).exclude(grant=grant.pk)
        kept = {(grant_id, tool) for grant_id, tool in others.values_list("grant", "tool")} - set(dropped)
        elsewhere |= {(grant.pk, tool) for _, tool in kept}
    return elsewhere
