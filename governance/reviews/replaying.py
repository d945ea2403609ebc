"""What a cut would have done to the calls of the last ninety days: read from the record, nothing is changed.

A call counts as one that would have been denied when it went under the grant, or one that it renews, to a tool that the
cut takes away, and no other grant of the agent for the same people covers that tool. The record holds a digest of a
call's arguments and never the arguments, so for a tool whose limits become tighter it cannot be told which calls would
still pass: those calls are counted as undecided, never as harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import connection

from audit import clock
from entitlements.errors import DomainError
from entitlements.models import Grant, GrantLine
from governance.models import ReviewLine

from . import usage

_CHAIN: Final = f"""WITH RECURSIVE chain AS ({
    usage.chain("SELECT id, starts_at, request_id FROM entitlements_grant WHERE id = ANY(%(grants)s::uuid[])")
})"""  # noqa: S608 - made of constants
_CALLS: Final = f"""{_CHAIN}
SELECT c.grant_id, u.tool_id, sum(u.calls) FROM chain c JOIN ({usage.USED_IN_CHAIN}) u ON u.grant_id = c.member
 GROUP BY 1, 2
"""  # noqa: S608 - as above
_SINCE: Final = f"{_CHAIN} SELECT grant_id, min(starts_at) FROM chain GROUP BY 1"  # noqa: S608 - as above


class UnknownLine(DomainError):
    """The grant does not hold this tool."""

    code, status = "grant_line_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Replay:
    """What a cut would have done since `since`. `visible` is false where calls go past our gateway: nothing is known.

    `covered` names tools that are taken away here and that another grant gives all the same.
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
        """Return it for a machine; numbers are null where calls are not visible."""
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


def of_grant(grant: Grant, drop: Collection[str], limits: Mapping[str, Mapping[str, Any]]) -> Replay:
    """Replay a cut of one grant: tools to take away by name, and other limits by tool. Raises UnknownLine."""
    held = {line.tool.name: line for line in grant.lines.select_related("tool")}
    for name in (*drop, *limits):
        if name not in held:
            raise UnknownLine(tool=name[:128])
    tightened = {held[name].pk for name, said in limits.items() if name not in drop and held[name].limits != said}
    return _replay([(line, name in drop, line.pk in tightened) for name, line in held.items()])


def of_lines(lines: Iterable[ReviewLine], kept: Collection[int]) -> Replay:
    """Replay keeping only some of an item's lines; what a grant has lost since is no longer there to lose."""
    wanted = {(line.grant_id, line.tool_id): line.pk in kept for line in lines}
    rows = GrantLine.objects.filter(grant__in={grant for grant, _ in wanted}).select_related("tool")
    return _replay([(row, not wanted.get((row.grant_id, row.tool_id), True), False) for row in rows])


def _replay(rows: list[tuple[GrantLine, bool, bool]]) -> Replay:
    now = clock.now()
    since = now - usage.WINDOW
    grants = {
        grant.pk: grant
        for grant in Grant.objects.filter(pk__in={line.grant_id for line, _, _ in rows}).select_related(
            "entitlement__system"
        )
    }
    counted, begun = _counted(list(grants), since, now), _begun(list(grants))
    elsewhere = _elsewhere(
        grants.values(), {(line.grant_id, line.tool_id) for line, dropped, _ in rows if dropped}, now
    )
    denied: dict[str, int] = {}
    covered, undecided = set(), 0
    for line, dropped, tightened in rows:
        calls = counted.get((line.grant_id, line.tool_id), 0)
        if dropped and (line.grant_id, line.tool_id) in elsewhere:
            covered.add(line.tool.name)
        elif dropped:
            denied[line.tool.name] = denied.get(line.tool.name, 0) + calls
        elif tightened:
            undecided += calls
    return Replay(
        since=since,
        visible=all(grant.entitlement.system.kind in usage.GATEWAY for grant in grants.values()),
        full=all(begun[grant] <= since for grant in grants),
        calls=sum(counted.values()),
        denied=sum(denied.values()),
        undecided=undecided,
        covered=tuple(sorted(covered)),
        tools=tuple(sorted(denied.items())),
    )


def _counted(grants: list[UUID], since: datetime, now: datetime) -> dict[tuple[UUID, int], int]:
    """Count the allowed calls under some grants and what they renew by tool, exactly, whatever the sweep has read."""
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, {"grants": grants, "since": since, "now": now})
        return {(grant, tool): int(calls) for grant, tool, calls in cursor.fetchall()}


def _begun(grants: list[UUID]) -> dict[UUID, datetime]:
    """Say since when each grant is held, what it renews included."""
    with connection.cursor() as cursor:
        cursor.execute(_SINCE, {"grants": grants})
        return dict(cursor.fetchall())


def _elsewhere(grants: Iterable[Grant], dropped: Collection[tuple[UUID, int]], now: datetime) -> set[tuple[UUID, int]]:
    """Say which of the lines taken away another grant of the agent, for the same people, gives as well."""
    found: set[tuple[UUID, int]] = set()
    for grant in grants:
        tools = {tool for of, tool in dropped if of == grant.pk}
        others = GrantLine.objects.filter(
            tool__in=tools,
            grant__agent=grant.agent_id,
            grant__subjects_digest=grant.subjects_digest,
            grant__state=Grant.State.ACTIVE,
            grant__starts_at__lte=now,
            grant__expires_at__gt=now,
        ).exclude(grant=grant.pk)
        kept = {(of, tool) for of, tool in others.values_list("grant", "tool")} - set(dropped)
        found |= {(grant.pk, tool) for _, tool in kept}
    return found
