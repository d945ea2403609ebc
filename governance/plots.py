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

from . import charts

WIDTH, HEIGHT = charts.WIDTH, charts.HEIGHT
_SVG: Final = "http://www.w3.org/2000/svg"
_INK: Final = {
    "line": 'fill="none" stroke="#2457c5" stroke-width="2"',
    "ideal": 'fill="none" stroke="#5b626c" stroke-width="1" stroke-dasharray="4 4"',
    "due": 'stroke="#7d4b00" stroke-width="1"',
    "grid": 'stroke="#e6e8eb" stroke-width="1"',
    "done": 'fill="#17663a"',
    "open": 'fill="#868d97"',
    "dot": 'fill="#2457c5"',
    "certify": 'fill="#17663a"',
    "reduce": 'fill="#7d4b00"',
    "revoke": 'fill="#b3261e"',
    "no_response": 'fill="#c98500"',
    "in_review": 'fill="#e6e8eb"',
}
_OTHER: Final = 'fill="#868d97"'


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing; what stands at its ends and at its top; and the same numbers as a table with its headings."""

    svg: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: str = ""
    right: str = ""
    top: str = ""


def _svg(name: str, inside: Sequence[str], high: float = HEIGHT) -> str:
    head = f'class="drawing {escape(name)}" viewBox="0 0 {WIDTH:g} {high:g}" preserveAspectRatio="none"'
    return f'<svg xmlns="{_SVG}" {head} aria-hidden="true" focusable="false">{"".join(inside)}</svg>'


def _polyline(kind: str, points: str) -> str:
    return f'<polyline class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke" points="{points}"/>'


def _straight(kind: str, ends: str) -> str:
    return f'<path class="{kind}" {_INK[kind]} vector-effect="non-scaling-stroke" d="{ends}"/>'


def _upright(kind: str, x: float) -> str:
    return _straight(kind, f"M{x:.1f} 0V{HEIGHT:g}")


def _level(y: float) -> str:
    return _straight("grid", f"M0 {y:.1f}H{WIDTH:g}")


def burn_down(burn: charts.BurnDown, heads: tuple[str, str]) -> Plot:
    """Draw what was open on each day, the straight line to the day it is due, and that day."""
    inside = [
        *(_level(HEIGHT * part / 4) for part in range(1, 4)),
        _upright("due", burn.due),
        _polyline("ideal", burn.ideal),
        _polyline("line", burn.line),
    ]
    rows = tuple((day.isoformat(), str(left)) for day, left in burn.days)
    ends = (burn.days[0][0].isoformat(), burn.end.isoformat())
    return Plot(_svg("burn", inside), heads, rows, *ends, str(burn.total))


def small_burn(burn: charts.BurnDown) -> str:
    """Draw the same in the space of a word."""
    return _svg("tiny", [_polyline("ideal", burn.ideal), _polyline("line", burn.line)])


def stack(parts: Sequence[tuple[str, str, int]], heads: tuple[str, str]) -> Plot:
    """Draw the parts of a whole, each with its name and its word, as one bar."""
    whole = sum(count for _name, _word, count in parts) or 1
    inside, at = [], 0.0
    for name, _word, count in parts:
        wide = WIDTH * count / whole
        if count:
            ink = _INK.get(name, _OTHER)
            inside.append(
                f'<rect class="part-{escape(name)}" {ink} x="{at:.2f}" y="0" width="{wide:.2f}" height="16"/>'
            )
        at += wide
    return Plot(_svg("stack", inside, 16), heads, tuple((word, str(count)) for _name, word, count in parts))


def load(rows: Sequence[tuple[str, int, int]], heads: tuple[str, str, str]) -> Plot:
    """Draw how many items each person has: those answered, and beside them those still open."""
    most = max((done + left for _who, done, left in rows), default=0) or 1
    inside = []
    for number, (_who, done, left) in enumerate(rows):
        y, wide = number * 24 + 4, WIDTH * done / most
        inside.append(f'<rect class="done" {_INK["done"]} x="0" y="{y}" width="{wide:.1f}" height="16"/>')
        more = WIDTH * left / most
        inside.append(f'<rect class="open" {_INK["open"]} x="{wide:.1f}" y="{y}" width="{more:.1f}" height="16"/>')
    table = tuple((who, str(done), str(left)) for who, done, left in rows)
    return Plot(_svg("load", inside, max(len(rows), 1) * 24), heads, table)


def one_load(done: int, left: int, most: int) -> str:
    """Draw the bar of one person, against whoever has the most."""
    wide, more = WIDTH * done / (most or 1), WIDTH * left / (most or 1)
    return _svg(
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
    ordered, span = sorted(spans), _stretch(limit)
    points, n = [f"0.0,{HEIGHT:.1f}"], len(ordered) or 1
    for done, seconds in enumerate(ordered, start=1):
        x = min(_stretch(seconds) / span, 1.0) * WIDTH
        points += [f"{x:.1f},{HEIGHT * (1 - (done - 1) / n):.1f}", f"{x:.1f},{HEIGHT * (1 - done / n):.1f}"]
    if ordered and _stretch(ordered[-1]) < span:
        points.append(f"{WIDTH:.1f},0.0")
    rows = tuple((word, f"{100 * sum(each <= step for each in ordered) // n} %") for step, word in steps)
    inside = [
        *(_level(HEIGHT * part / 4) for part in range(1, 4)),
        _upright("due", WIDTH),
        _polyline("line", " ".join(points)),
    ]
    return Plot(_svg("within", inside), heads, rows, top="100 %")


def _stretch(seconds: float) -> float:
    """Bring seconds and days onto one scale: that of their logarithm."""
    return math.log1p(max(seconds, 0.0))


def trend(points: Sequence[tuple[date, int | None]], goal: int, heads: tuple[str, str]) -> Plot:
    """Draw per cents over time, with the goal as a line; a month without a number is a gap."""
    step = WIDTH / max(len(points) - 1, 1)
    at = [(index * step, HEIGHT * (1 - share / 100)) for index, (_day, share) in enumerate(points) if share is not None]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    height = HEIGHT * (1 - goal / 100)
    inside = [
        *(_level(HEIGHT * part / 4) for part in range(1, 4)),
        _polyline("ideal", f"0,{height:.1f} {WIDTH:g},{height:.1f}"),
    ]
    inside.append(_polyline("line", line))
    rows = tuple((day.strftime("%Y-%m"), "-" if share is None else f"{share} %") for day, share in points)
    ends = (points[0][0].strftime("%Y-%m"), points[-1][0].strftime("%Y-%m")) if points else ("", "")
    return Plot(_svg("trend", inside), heads, rows, *ends, "100 %")
