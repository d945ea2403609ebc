"""Replays of a change: asked for by a person, read by a worker a day at a time, and kept with their result.

A worker that is killed loses its current day and nothing else; the next one repeats that day. Of two workers the second
finds the row locked and leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from governance.decisions import changes
from governance.decisions.changes import Change
from governance.decisions.models import WhatIf
from governance.decisions.replay import Replay, Tally, read

DAY: Final = timedelta(days=1)
MOST_DAYS: Final = 90
MOST_WAITING: Final = 5
"""How many replays of one person may wait or run at once."""
MOST_KEPT: Final = 1_000
"""How many rows by agent, tool and code a result keeps: those with the most calls."""
_COUNTS: Final = ("calls", "denied", "denied_anyway", "unknown")


class TooManyWaiting(DomainError):
    """Five of your replays are not finished yet. Wait for one of them."""

    code, status = "what_if_too_many", HTTPStatus.CONFLICT


class BadDays(DomainError):
    """`days` must be a whole number from 1 to 90."""

    code, status = "what_if_days", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def begin(change: Mapping[str, Any], days: int, *, by: Caller) -> WhatIf:
    """Ask for a replay of a change over the calls of the last days. A worker reads them.

    Raises BadDays, TooManyWaiting, Forbidden for a script or an agent, and what `changes.read` raises.
    """
    if by.human is None:
        raise Forbidden
    if not 1 <= days <= MOST_DAYS:
        raise BadDays
    found = changes.read(change, by)
    locks.exclusive((Lock.PERSON, by.human.pk))
    if WhatIf.objects.filter(asked_by=by.human, finished_at=None).count() >= MOST_WAITING:
        raise TooManyWaiting
    row = WhatIf.objects.create(change=dict(change), days=days, asked_by=by.human, asked_at=clock.now())
    detail = {"what_if": str(row.pk), "change": dict(change), "days": days}
    log.record(Action.WHAT_IF_ASKED, about=found.about(), by=by.principal, detail=detail)
    return row


def advance(key: UUID) -> bool:
    """Read the next day of a replay; returns whether there may be another. Does nothing if a worker is at it."""
    with transaction.atomic():
        row = WhatIf.objects.select_for_update(skip_locked=True).filter(pk=key, finished_at=None).first()
        if row is None:
            return False
        try:
            _read_day(row, changes.read(row.change))
        except DomainError as why:  # what it is about is gone, or can no longer be read
            row.failure, row.finished_at = why.message[:500], clock.now()
        if row.read_days == row.days:
            row.finished_at = row.finished_at or clock.now()
        row.save()
        return row.finished_at is None


def unfinished() -> list[UUID]:
    """Return the replays that are not finished."""
    return list(WhatIf.objects.filter(finished_at=None).order_by("asked_at").values_list("pk", flat=True))


def _read_day(row: WhatIf, change: Change) -> None:
    since = row.asked_at - row.days * DAY
    begins = since + row.read_days * DAY
    tally, replay = Tally(), Replay(change, since)
    for call in read(change.agents(), begins, begins + DAY):
        tally.add(call, *replay.decide(call))
    row.result = _added(row.result or _empty(change), tally)
    row.read_days += 1


def _empty(change: Change) -> dict[str, Any]:
    """Return an empty result: `unseen` are systems of these agents whose calls pass us by, and are in no count."""
    held = System.objects.filter(entitlements__grants__agent__in=Agent.objects.filter(slug__in=change.agents()))
    unseen = held.exclude(kind__in=System.SERVED).order_by("slug").values_list("slug", flat=True)
    return {**dict.fromkeys(_COUNTS, 0), "by": [], "unseen": [*unseen.distinct()]}


def _added(result: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    by = Counter({(row["agent"], row["tool"], row["code"]): row["calls"] for row in result["by"]})
    by.update(tally.by)
    rows = [
        {"agent": agent, "tool": tool, "code": code, "calls": calls}
        for (agent, tool, code), calls in sorted(by.items(), key=lambda item: (-item[1], item[0]))
    ]
    counts = {name: result[name] + getattr(tally, name) for name in _COUNTS}
    return {**result, **counts, "by": rows[:MOST_KEPT], "agents": len({row["agent"] for row in rows})}
