"""Plots as whole drawings: data in, SVG out, with the numbers as a table. Pure; pages and the PDF use the same ones.

Colours stand in the drawing for paper; the console's stylesheet overrides them by class. Nothing in a drawing is words:
labels stand around it, where they can be read, wrapped and translated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Final

from . import geometry
from .plot import SHARES, Plot, newest, spread, steps_to

WIDTH, HEIGHT = geometry.WIDTH, geometry.HEIGHT
_SVG: Final = "http://www.w3.org/2000/svg"
_INK: Final = {
    "line": 'fill="none" stroke="#2457c5" stroke-width="2"',
    "ideal": 'fill="none" stroke="#5b626c" stroke-width="1" stroke-dasharray="4 4"',
    "due": 'stroke="#7d4b00" stroke-width="1"',
    "grid": 'stroke="#e6e8eb" stroke-width="1"',
    "tick": 'stroke="#5b626c" stroke-width="2"',
    "done": 'fill="#17663a"',
    "open": 'fill="#868d97"',
    "dot": 'fill="#2457c5"',
    "certify": 'fill="#17663a"',
    "reduce": 'fill="#7d4b00"',
    "revoke": 'fill="#b3261e"',
    "no_response": 'fill="#c98500"',
    "in_review": 'fill="#e6e8eb"',
    "s-0": 'fill="#2457c5"',
    "s-1": 'fill="none" stroke="#7d4b00"',
    "s-2": 'fill="none" stroke="#17663a"',
    "l-0": 'fill="none" stroke="#2457c5" stroke-width="3"',
    "l-1": 'fill="none" stroke="#a5201a" stroke-width="2"',
    "l-2": 'fill="none" stroke="#7d4b00" stroke-width="2" stroke-dasharray="8 3"',
    "l-3": 'fill="none" stroke="#17663a" stroke-width="2" stroke-dasharray="2 3"',
    "l-4": 'fill="none" stroke="#5b626c" stroke-width="2" stroke-dasharray="8 3 2 3"',
    "round": 'fill="none" stroke="#2457c5" stroke-linecap="round"',
    "square": 'fill="none" stroke="#7d4b00" stroke-linecap="square"',
}


def drawing(name: str, inside: Sequence[str], high: float = HEIGHT, wide: float = WIDTH) -> str:
    """Return a drawing of some parts, of a class of its own."""
    head = f'class="drawing {escape(name)}" viewBox="0 0 {wide:g} {high:g}" preserveAspectRatio="none"'
    return f'<svg xmlns="{_SVG}" {head} aria-hidden="true" focusable="false">{"".join(inside)}</svg>'


def plot_line(kind: str, points: str) -> str:
    """Draw a line through some points."""
    return f'<polyline class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke" points="{points}"/>'


def _straight(kind: str, ends: str) -> str:
    return f'<path class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke" d="{ends}"/>'


def _upright(kind: str, x: float) -> str:
    return _straight(kind, f"M{x:.1f} 0V{HEIGHT:g}")


def level(y: float) -> str:
    """Draw a level line of the grid."""
    return _straight("grid", f"M0 {y:.1f}H{WIDTH:g}")


def burn_down(burn: geometry.BurnDown, heads: tuple[str, ...], reminded: str = "") -> Plot:
    """Draw what was open on each day, the straight line to the day it is due, that day, and when reminders go out.

    `reminded` is the word that the table has in its third column for a day of reminders.
    """
    inside = [
        *(level(HEIGHT * part / 4) for part in range(1, 4)),
        _upright("due", burn.due),
        *(_straight("tick", f"M{x:.1f} {HEIGHT - 8:g}V{HEIGHT:g}") for x in burn.ticks),
        plot_line("ideal", burn.ideal),
        plot_line("line", burn.line),
    ]
    rows: tuple[tuple[str, ...], ...] = tuple((day.isoformat(), str(left)) for day, left in burn.days)
    if reminded:
        ahead = tuple((day, None) for day in burn.reminders if day > burn.days[-1][0])
        all_days = ((day, "" if left is None else str(left)) for day, left in (*burn.days, *ahead))
        rows = tuple((day.isoformat(), left, reminded if day in burn.reminders else "") for day, left in all_days)
    ends = (burn.days[0][0].isoformat(), burn.end.isoformat())
    first, span = burn.days[0][0], max((burn.end - burn.days[0][0]).days, 1)
    xs = tuple(round(1000 * (date.fromisoformat(row[0]) - first).days / span) for row in rows)
    latest = f"{burn.days[-1][0].isoformat()}: {burn.days[-1][1]}"
    return Plot(
        *(drawing("burn", inside), heads, rows, *ends, str(burn.total)),
        axis=steps_to(burn.total),
        xs=xs,
        points=len(burn.days),
        latest=latest,
    )


def small_burn(burn: geometry.BurnDown) -> str:
    """Draw the same in the space of a word."""
    return drawing("tiny", [plot_line("ideal", burn.ideal), plot_line("line", burn.line)])


_HATCHED: Final = {
    "reduce": "|",
    "revoke": "+",
    "superseded": "-",
    "carried_forward": "|",
    "excluded": "+",
    "no_response": "-",
    "native": "|",
    "known": "+",
}
"""The hatching of each part of a bar, so that parts differ without colour; parts not named here are filled."""


def hatch(name: str, x: float, wide: float, high: float, gap: float) -> str:
    """Return the lines over a part of a bar as a path: upright, level or both; empty for one that is filled."""
    lines = _HATCHED.get(name, "")
    upright = [f"M{x + gap * step:.2f} 0V{high:g}" for step in range(1, math.ceil(wide / gap))]
    level = [f"M{x:.2f} {high * step / 4:g}h{wide:.2f}" for step in range(1, 4)]
    return "".join([*(upright if lines in ("|", "+") else []), *(level if lines in ("-", "+") else [])])


def one_load(done: int, left: int, most: int) -> str:
    """Draw the bar of one person, against the person who has the most."""
    wide, more = WIDTH * done / (most or 1), WIDTH * left / (most or 1)
    return drawing(
        "one",
        [
            f'<rect class="done" {_INK["done"]} x="0" y="0" width="{wide:.1f}" height="16"/>',
            f'<rect class="open" {_INK["open"]} x="{wide:.1f}" y="0" width="{more:.1f}" height="16"/>',
        ],
        16,
    )


def within(spans: Sequence[float], limit: float, heads: tuple[str, str], steps: Sequence[tuple[float, str]]) -> Plot:
    """Draw which share was done within which time, with the limit as a line; `steps` are the times of the table.

    Time is drawn by its logarithm: what takes seconds and what takes days are both seen.
    """
    ordered, line = sorted(spans), geometry.within(spans, limit)
    n = len(ordered) or 1
    rows = tuple((word, f"{100 * sum(seconds <= step for seconds in ordered) // n} %") for step, word in steps)
    inside = [
        *(level(HEIGHT * part / 4) for part in range(1, 4)),
        _upright("due", WIDTH),
        plot_line("line", line),
    ]
    return Plot(drawing("within", inside), heads, rows, top="100 %", axis=SHARES)


def trend(points: Sequence[tuple[date, int | None]], goal: int, heads: tuple[str, str]) -> Plot:
    """Draw per cents over time, with the goal as a line; a month without a number is a gap."""
    step = WIDTH / max(len(points) - 1, 1)
    at = [(index * step, HEIGHT * (1 - share / 100)) for index, (_day, share) in enumerate(points) if share is not None]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    height = HEIGHT * (1 - goal / 100)
    inside = [
        *(level(HEIGHT * part / 4) for part in range(1, 4)),
        plot_line("ideal", f"0,{height:.1f} {WIDTH:g},{height:.1f}"),
    ]
    inside.append(plot_line("line", line))
    rows = tuple((day.strftime("%Y-%m"), "-" if share is None else f"{share} %") for day, share in points)
    ends = (points[0][0].strftime("%Y-%m"), points[-1][0].strftime("%Y-%m")) if points else ("", "")
    known = [row for row, (_day, share) in zip(rows, points, strict=True) if share is not None]
    return Plot(
        *(drawing("trend", inside), heads, rows, *ends, "100 %"),
        axis=SHARES,
        xs=spread(len(rows)),
        points=len(known),
        latest=": ".join(known[-1]) if known else "",
    )


# Drawings of several series: each differs by pattern as well as by colour.

_HATCH: Final = 6.0
_SERIES: Final = 3


def _block(number: int, x: float, y: float, wide: float, high: float) -> str:
    """Draw a part of a column: the first series is filled, the second hatched upright, the third level."""
    kind = f"s-{number % _SERIES}"
    box = f'<rect class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke"'
    drawn = f'{box} x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{high:.2f}"/>'
    if number % _SERIES == 1:
        steps = [x + _HATCH * step for step in range(1, math.ceil(wide / _HATCH))]
        return drawn + _straight(kind, "".join(f"M{at:.2f} {y:.2f}v{high:.2f}" for at in steps)) if steps else drawn
    if number % _SERIES == 2:  # noqa: PLR2004 - the third
        steps = [y + _HATCH * step for step in range(1, math.ceil(high / _HATCH))]
        return drawn + _straight(kind, "".join(f"M{x:.2f} {at:.2f}h{wide:.2f}" for at in steps)) if steps else drawn
    return drawn


def _key(number: int) -> str:
    return drawing("keyed", [_block(number, 0, 0, 32, 16)], 16, 32)


def columns(
    marks: Sequence[str],
    series: Sequence[tuple[str, Sequence[int]]],
    head: str,
    *,
    most: int = 0,
    limit: float | None = None,
) -> Plot:
    """Draw columns, the series on top of each other; `limit` is an upright line after so many of them.

    `most` is the value of the whole height, else that of the highest.
    """
    highest = max([most, *(sum(stack) for stack in zip(*(values for _word, values in series), strict=True))], default=0)
    scale, step = HEIGHT / (highest or 1), WIDTH / max(len(marks), 1)
    inside = list[str]()
    for place in range(len(marks)):
        y = HEIGHT
        for number, (_word, values) in enumerate(series):
            if high := scale * values[place]:
                y -= high
                inside.append(_block(number, place * step + step / 8, y, step * 3 / 4, high))
    if limit is not None:
        inside.append(_upright("due", limit * step))
    heads = (head, *(word for word, _values in series))
    rows = tuple((mark, *(str(values[at]) for _word, values in series)) for at, mark in enumerate(marks))
    keys = tuple((_key(number), word) for number, (word, _values) in enumerate(series)) if len(series) > 1 else ()
    xs = tuple(round(1000 * (place + 0.5) / len(marks)) for place in range(len(marks)))
    drawn = drawing("columns", inside)
    return Plot(drawn, heads, rows, top=str(highest), marks=tuple(marks), keys=keys, axis=steps_to(highest), xs=xs)


def lines(months: Sequence[date], series: Sequence[tuple[str, Sequence[int | None]]], goal: int, head: str) -> Plot:
    """Draw per cents of several things over time, each line dashed in its own way; where nothing is known is a gap."""
    step = WIDTH / max(len(months) - 1, 1)
    inside = [*(level(HEIGHT * part / 4) for part in range(1, 4)), _straight("ideal", f"M0 {_at(goal)}H{WIDTH:g}")]
    for number, (_word, shares) in reversed(list(enumerate(series))):
        for first, run in _runs(shares):
            points = " ".join(f"{(first + at) * step:.1f},{_at(share)}" for at, share in enumerate(run))
            inside.append(plot_line(f"l-{number}", points if len(run) > 1 else f"{points} {points}"))
    words = [month.strftime("%Y-%m") for month in months]
    cells = [
        ["-" if shares[at] is None else f"{shares[at]} %" for _word, shares in series] for at in range(len(months))
    ]
    keys = tuple(
        (drawing("keyed", [plot_line(f"l-{item}", f"0,8 {WIDTH:g},8")], 16), newest(word, shares))
        for item, (word, shares) in enumerate(series)
    )
    rows = tuple((word, *item) for word, item in zip(words, cells, strict=True))
    heads = (head, *(word for word, _shares in series))
    ends = (words[0], words[-1]) if words else ("", "")
    return Plot(
        *(drawing("lines", inside), heads, rows, *ends, "100 %", (), keys),
        axis=SHARES,
        xs=spread(len(rows)),
        points=max((sum(share is not None for share in shares) for _word, shares in series), default=0),
    )


def _at(share: int) -> str:
    return f"{HEIGHT * (1 - share / 100):.1f}"


def _runs(shares: Sequence[int | None]) -> list[tuple[int, list[int]]]:
    """Part what is known into what hangs together: where each part begins, and its values."""
    runs: list[tuple[int, list[int]]] = []
    for place, share in enumerate(shares):
        if share is not None and place and shares[place - 1] is not None:
            runs[-1][1].append(share)
        elif share is not None:
            runs.append((place, [share]))
    return runs


def _dot(kind: str, x: float, y: float, across: int) -> str:
    """Draw a dot that stays round (or square) however its drawing is stretched: a line of no length."""
    ends = f'stroke-width="{across}" d="M{x:.2f} {y:.2f}h0"'
    return f'<path class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke" {ends}/>'


def dumbbell(before: int, after: int, most: int = 100) -> str:
    """Draw what was and what is, of at most so much, on one line: a square for before, a dot for after."""
    was, now = (WIDTH * value / (most or 1) for value in (before, after))
    line = _straight("ideal", f"M{now:.2f} 12H{was:.2f}") if was != now else ""
    return drawing(
        "dumbbell",
        [_straight("grid", f"M0 12H{WIDTH:g}"), line, _dot("square", was, 12, 8), _dot("round", now, 12, 10)],
        24,
    )


def ends(before: int, after: int, most: int = 100) -> str:
    """Draw the same for paper, where nothing is stretched and a line of no length would not be seen."""
    was, now = (8 + (WIDTH - 16) * value / (most or 1) for value in (before, after))
    return drawing(
        "ends",
        [
            _straight("grid", f"M8 12H{WIDTH - 8:g}"),
            _straight("ideal", f"M{now:.2f} 12H{was:.2f}") if was != now else "",
            f'<rect class="square" fill="#7d4b00" x="{was - 7:.2f}" y="5" width="14" height="14"/>',
            f'<circle class="round" fill="#2457c5" cx="{now:.2f}" cy="12" r="8"/>',
        ],
        24,
    )


def bar(count: int, most: int) -> str:
    """Draw one number as a bar against the most there can be."""
    wide = WIDTH * count / (most or 1)
    return drawing(
        "one",
        [
            f'<rect class="open" fill="#e6e8eb" x="0" y="0" width="{WIDTH:g}" height="16"/>',
            f'<rect class="dot" {_INK["dot"]} x="0" y="0" width="{wide:.1f}" height="16"/>',
        ],
        16,
    )


def pair(then: int, now: int, most: int) -> str:
    """Draw two numbers as bars below each other, against the most of any: then hatched, now filled."""
    was, are = (WIDTH * value / (most or 1) for value in (then, now))
    return drawing("pair", [_block(1, 0, 1, was, 10) if then else "", _block(0, 0, 13, are, 10) if now else ""], 24)


PAIR: Final = (_key(1), _key(0))
BEFORE: Final = drawing("keyed", [_dot("square", WIDTH / 2, 12, 8)], 24)
AFTER: Final = drawing("keyed", [_dot("round", WIDTH / 2, 12, 10)], 24)
"""The looks of both ends, for a legend."""
_CELL: Final = 20.0
_WEEK: Final = 7


def calendar(days: Sequence[tuple[date, int]], first: date, last: date, heads: tuple[str, str]) -> Plot:
    """Draw a square for each day that has something, larger for more, and a frame for those that have nothing.

    A column is a week that begins on Monday. The table lists the days that have something.
    """
    counted = dict(days)
    start = first.toordinal() - first.weekday()
    inside = []
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        week, day = divmod(ordinal - start, _WEEK)
        count = counted.get(date.fromordinal(ordinal), 0)
        side = (2.0, 8.0, 12.0, 17.0)[geometry.shade(count)]
        x, y = week * _CELL + (_CELL - side) / 2, day * _CELL + (_CELL - side) / 2
        kind = "dot" if count else "open"
        inside.append(f'<rect class="{kind}" {_INK[kind]} x="{x:.1f}" y="{y:.1f}" width="{side:g}" height="{side:g}"/>')
    wide = ((last.toordinal() - start) // _WEEK + 1) * _CELL
    head = f'class="drawing calendar" viewBox="0 0 {wide:g} {_WEEK * _CELL:g}"'
    svg = f'<svg xmlns="{_SVG}" {head} aria-hidden="true" focusable="false">{"".join(inside)}</svg>'
    rows = tuple(
        (day.isoformat(), str(count)) for day, count in sorted(counted.items()) if count and first <= day <= last
    )
    return Plot(svg, heads, rows, first.isoformat(), last.isoformat())


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of a map: wider for more calls, dashed for what is granted and not used, double for what is final."""

    calls: int
    is_dashed: bool = False
    is_double: bool = False


_TALL: Final = 100.0
_ROW: Final = 32.0


def edges(pairs: Sequence[tuple[int, int, Edge]], sides: tuple[int, int], rows: int) -> str:
    """Draw lines from the nodes of one column to those of the next, both spread evenly over the same height.

    `sides` are how many nodes each column has, `rows` how many the longest of all has.
    """
    inside = []
    for left, right, edge in pairs:
        ends = [_TALL * (place + 0.5) / many for place, many in zip((left, right), sides, strict=True)]
        apart = 2 * _TALL / (_ROW * max(rows, 1)) if edge.is_double else 0.0
        for offset in (-apart, apart) if edge.is_double else (0.0,):
            a, b = (end + offset for end in ends)
            wide = 1 + 1.5 * geometry.shade(edge.calls) if not edge.is_double else 1.5
            look = f'stroke-width="{wide:g}"' + (' stroke-dasharray="4 4"' if edge.is_dashed else "")
            inside.append(
                f'<path class="edge" fill="none" stroke="#2457c5" {look} vector-effect="non-scaling-stroke"'
                f' d="M0 {a:.2f}C50 {a:.2f} 50 {b:.2f} 100 {b:.2f}"/>'
            )
    head = f'class="drawing edges" viewBox="0 0 100 {_TALL:g}" preserveAspectRatio="none"'
    return f'<svg xmlns="{_SVG}" {head} aria-hidden="true" focusable="false">{"".join(inside)}</svg>'
