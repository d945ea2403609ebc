"""A plot: its drawing, the ticks of its axis, the places of its values, and the same numbers as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 5
"""How many values a line needs to be drawn."""
SHARES: Final = ("100 %", "75 %", "50 %", "25 %", "0")


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing; what stands at its ends, at its top and below each part; and the same numbers as a table.

    `keys` are the series, each as a drawing of its look and its name, with the newest value of a line. `axis` are the
    ticks of the upright axis from above, and `xs` where each row of the table lies, in thousandths of the width: what
    hover and arrow keys read. `points` are the values of a line, None for any other drawing.
    """

    svg: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: str = ""
    right: str = ""
    top: str = ""
    marks: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    axis: tuple[str, ...] = ()
    xs: tuple[int, ...] = ()
    points: int | None = None
    latest: str = ""

    @property
    def is_too_small(self) -> bool:
        """Whether a line has too few values to show anything that a sentence does not."""
        return self.points is not None and self.points < FEWEST


def spread(count: int) -> tuple[int, ...]:
    """Return the places of points that are equally far from each other, the first and the last at the edges."""
    return tuple(round(1000 * place / max(count - 1, 1)) for place in range(count))


def steps_to(top: int) -> tuple[str, ...]:
    """Return the ticks of whole numbers at the level lines, or at the ends alone where quarters are none."""
    if top % 4:
        return (f"{top:,}", "0")
    return tuple(f"{top * part // 4:,}" for part in range(4, -1, -1))


def newest(word: str, shares: Sequence[int | None]) -> str:
    """Return the name of a series with its newest value, the label of its line."""
    last = next((share for share in reversed(shares) if share is not None), None)
    return word if last is None else f"{word}: {last} %"
