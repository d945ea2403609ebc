"""Plots as plain geometry: what a template draws as SVG, with the numbers for the table beside it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

WIDTH, HEIGHT = 600.0, 160.0
SPARK_WIDTH, SPARK_HEIGHT = 78.0, 20.0
_BAR: Final = 18.0
_GAP: Final = 8.0
_DAY: Final = 86_400.0
PROOF_LIMIT: Final = 7 * _DAY
"""How long a remediation may take until it is verified."""
PROOF_STEPS: Final = ((60.0, "1 min"), (3600.0, "1 h"), (_DAY, "1 d"), (3 * _DAY, "3 d"), (PROOF_LIMIT, "7 d"))


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, `width` of WIDTH long, at `y` from above."""

    label: str
    value: int
    level: str
    y: float
    width: float


def bars(rows: Sequence[tuple[str, int, str]], most: int = 0) -> list[Bar]:
    """Lay out labelled values, each with its level, as horizontal bars; the longest fills the width."""
    longest = max([most, *(value for _, value, _ in rows)], default=0) or 1
    return [
        Bar(label, value, level, index * (_BAR + _GAP), WIDTH * value / longest)
        for index, (label, value, level) in enumerate(rows)
    ]


def spark(values: Sequence[int]) -> list[tuple[float, float, float]]:
    """Lay out values in time as small columns: x, y and height of each; one that is not zero is seen."""
    most, step = max(values, default=0) or 1, SPARK_WIDTH / max(len(values), 1)
    heights = [max(SPARK_HEIGHT * value / most, 2.0) if value else 0.0 for value in values]
    return [
        (round(index * step, 2), round(SPARK_HEIGHT - high, 2), round(high, 2)) for index, high in enumerate(heights)
    ]


def outline(columns: Iterable[tuple[float, float, float]]) -> str:
    """Return small columns as one path: many lines of them are drawn on a page."""
    return "".join(f"M{x:g} {y:g}h4v{high:g}h-4z" for x, y, high in columns if high)


@dataclass(frozen=True, slots=True)
class BurnDown:
    """What was open at the end of each day, the line as points, and the straight line to the day it is due.

    `reminders` are days within the plot on which reviewers are reminded, and `ticks` where they lie.
    """

    days: tuple[tuple[date, int], ...]
    line: str
    ideal: str
    due: float
    total: int
    end: date
    reminders: tuple[date, ...] = ()
    ticks: tuple[float, ...] = ()


def burn_down(
    total: int,
    done: Sequence[tuple[date, int]],
    first: date,
    last: date,
    due: date,
    reminders: Sequence[date] = (),
) -> BurnDown:
    """Count down from a total by what was done on each day, until `last`; the plot ends then or when it is due."""
    by_day = dict(done)
    span = max((max(last, due) - first).days, 1)
    left, days = total, []
    for number in range((last - first).days + 1):
        day = date.fromordinal(first.toordinal() + number)
        left -= by_day.get(day, 0)
        days.append((day, left))

    def at(day: date, open_items: int) -> str:
        x = WIDTH * (day - first).days / span
        return f"{x:.1f},{HEIGHT * (1 - open_items / (total or 1)):.1f}"

    points = [at(first, total), *(at(day, open_items) for day, open_items in days)]
    due_at = round(WIDTH * (due - first).days / span, 1)
    inside = tuple(day for day in reminders if first <= day <= max(last, due))
    ticks = tuple(round(WIDTH * (day - first).days / span, 1) for day in inside)
    ideal = f"{at(first, total)} {at(due, 0)}"
    return BurnDown(tuple(days), " ".join(points), ideal, due_at, total, max(last, due), inside, ticks)


def within(spans: Sequence[float], limit: float) -> str:
    """Lay out which share was done within which time as the points of a line that ends at the limit.

    Time is drawn by its logarithm: what takes seconds and what takes days are both seen.
    """
    ordered, span = sorted(spans), math.log1p(limit)
    points, n = [f"0.0,{HEIGHT:.1f}"], len(ordered) or 1
    for done, seconds in enumerate(ordered, start=1):
        x = min(math.log1p(max(seconds, 0.0)) / span, 1.0) * WIDTH
        points += [f"{x:.1f},{HEIGHT * (1 - (done - 1) / n):.1f}", f"{x:.1f},{HEIGHT * (1 - done / n):.1f}"]
    if ordered and ordered[-1] < limit:
        points.append(f"{WIDTH:.1f},0.0")
    return " ".join(points)


def shade(count: int) -> int:
    """Return how strongly a count is shown, by its digits: 0 for none, up to 3."""
    return min(len(str(count)), 3) if count > 0 else 0
