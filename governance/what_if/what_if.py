"""Replays of a change: asked for by a person, read by a worker a part at a time, and kept with their result.

A part is a day, or the next calls of one that has more (`recorded_calls.AT_ONCE`). A worker that is killed loses its
current part and nothing else; the next one repeats it. Of two workers the second finds the row locked and leaves.
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
from entitlements.catalog.models import System
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from governance.what_if import changes, past_sessions, recorded_calls
from governance.what_if.change import Change
from governance.what_if.models import WhatIf
from governance.what_if.replay import Replay, Tally

DAY: Final = timedelta(days=1)
MOST_DAYS: Final = 90
MOST_WAITING: Final = 5
"""How many replays of one person may wait or run at once."""
MOST_KEPT: Final = 1_000
"""How many rows by agent, tool and code a result keeps, and how many people: those with the most calls."""
_MOST_COUNTED: Final = 20_000
"""How many of them are kept until all days are read."""
_COUNTS: Final = ("calls", "denied", "denied_anyway", "over_budget", "unknown")


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
    row = keep(change, days, by=by.human)
    detail = {"what_if": str(row.pk), "change": dict(change), "days": days}
    log.record(Action.WHAT_IF_ASKED, about=found.about(), by=by.principal, detail=detail)
    return row


def keep(change: Mapping[str, Any], days: int, *, by: Person) -> WhatIf:
    """Keep what is to be replayed, for an action that records it, in its transaction. Raises TooManyWaiting."""
    locks.exclusive((Lock.PERSON, by.pk))
    if WhatIf.objects.filter(asked_by=by, finished_at=None).count() >= MOST_WAITING:
        raise TooManyWaiting
    return WhatIf.objects.create(change=dict(change), days=days, asked_by=by, asked_at=clock.now())


def advance(key: UUID) -> bool:
    """Read the next part of a replay; returns whether there may be another. Does nothing if a worker is at it."""
    with transaction.atomic():
        row = WhatIf.objects.select_for_update(skip_locked=True).filter(pk=key, finished_at=None).first()
        if row is None:
            return False
        try:
            _read_part(row, changes.read(row.change))
        except DomainError as why:  # what it is about is gone, or can no longer be read
            row.failure, row.finished_at = why.message[:500], clock.now()
        if row.read_days == row.days:
            row.finished_at = row.finished_at or clock.now()
            row.result = _finished(row.result)
        row.save()
        return row.finished_at is None


def unfinished() -> list[UUID]:
    """Return the replays that are not finished."""
    return list(WhatIf.objects.filter(finished_at=None).order_by("asked_at").values_list("pk", flat=True))


def _read_part(row: WhatIf, change: Change) -> None:
    """Read a day, or as much of it as is read at once."""
    result, since = row.result or _empty(change), row.asked_at - row.days * DAY
    begins = since + row.read_days * DAY
    calls, place = recorded_calls.read(change.calls(), begins, begins + DAY, result.get("place"))
    tally, replay = Tally(), Replay(change, since, past_sessions.read(calls, since))
    for call in calls:
        tally.add(call, *replay.decide(call))
    row.result = {**_added(result, tally), "place": place}
    row.read_days += place is None


def _empty(change: Change) -> dict[str, Any]:
    """Return an empty result: `unseen` are systems that it concerns whose calls pass us by, and are in no count."""
    unseen = change.systems().exclude(kind__in=System.SERVED).order_by("slug").values_list("slug", flat=True)
    return {**dict.fromkeys(_COUNTS, 0), "by": [], "people": [], "unseen": [*unseen.distinct()], "place": None}


def _added(result: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    by = Counter({(row["agent"], row["tool"], row["code"]): row["calls"] for row in result["by"]})
    people = Counter({row["person"]: row["calls"] for row in result.get("people", ())})
    by.update(tally.by)
    people.update(tally.people)
    rows = [
        {"agent": agent, "tool": tool, "code": code, "calls": calls} for (agent, tool, code), calls in _most_first(by)
    ]
    persons = [{"person": person, "calls": calls} for person, calls in _most_first(people)]
    counts = {name: result.get(name, 0) + getattr(tally, name) for name in _COUNTS}
    return {**result, **counts, "by": rows[:_MOST_COUNTED], "people": persons[:_MOST_COUNTED]}


def _most_first[K: (str, tuple[str, str, str])](counted: Counter[K]) -> list[tuple[K, int]]:
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _finished(result: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the rows with the most calls, and how many names there were."""
    by, people = result["by"], result["people"]
    agents, tools = {row["agent"] for row in by}, {row["tool"] for row in by}
    named = {"agents": len(agents), "tools": len(tools), "people": len(people)}
    return {**result, "by": by[:MOST_KEPT], "people": people[:MOST_KEPT], "named": named}
