"""A trace as a waterfall: its events as bars by time, each until the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from audit.models import Event

from .events import TimelineEntry

MOST: Final = 100
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
