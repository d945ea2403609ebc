"""A trace as a waterfall: its events as bars by time, each until the next one; what led to an event, what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from django.db.models import QuerySet

from audit.export import timeline
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller

from . import names
from .events import TimelineEntry

MOST: Final = 100
_AROUND: Final = 8
_WIDE: Final = 1000
_THINNEST: Final = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One event: when it came after the first, how long until the next, and its bar in a drawing 1,000 wide."""

    entry: TimelineEntry
    after_ms: int
    lasts_ms: int | None
    x: int
    width: int


def steps(entries: Sequence[TimelineEntry]) -> list[Step]:
    """Lay out events in their order; the last has no length."""
    if not entries:
        return []
    begins = [_ms(entries[0].event, entry.event) for entry in entries]
    whole = max(begins[-1], 1)
    lengths: list[int | None] = [later - sooner for sooner, later in pairwise(begins)]
    lengths.append(None)
    return [
        Step(
            entry,
            begin,
            length,
            min(_WIDE * begin // whole, _WIDE - _THINNEST),
            max(_WIDE * (length or 0) // whole, _THINNEST),
        )
        for entry, begin, length in zip(entries, begins, lengths, strict=True)
    ]


def _ms(first: Event, later: Event) -> int:
    return round((later.at - first.at).total_seconds() * 1000)


def event(link: str) -> QuerySet[Event]:
    """Return the one event of a link "event:uuid"."""
    key = link.partition(":")[2]
    return Event.objects.filter(uuid=key) if names.is_uuid(key) else Event.objects.none()


def before_and_after(event: Event, caller: Caller) -> tuple[list[Event], list[Event]]:
    """Return what led to an event and what followed: of its trace, else of the first thing that it is about."""
    link = f"trace:{event.trace}" if event.trace else next(iter(event.about), event.actor)
    rows, place = visibility.log_events(caller, timeline.about(link)), timeline.place(event)
    before = timeline.page(rows, after=place, limit=_AROUND, newest_first=True)
    return before[::-1], timeline.page(rows, after=place, limit=_AROUND)
