"""A line of counts over months, from zero up."""

from __future__ import annotations

from collections.abc import Sequence

from governance.charts.geometry import HEIGHT, WIDTH
from governance.charts.plot import Plot, spread, steps_to
from governance.charts.plots import drawing, level, plot_line


def count_line(points: Sequence[tuple[str, int | None]], heads: tuple[str, str]) -> Plot:
    """Draw counts by the names of their months, the earliest first; a month without a number is left out."""
    known = [(place, name, count) for place, (name, count) in enumerate(points) if count is not None]
    top = max(4, -(-max((count for _place, _name, count in known), default=0) // 4) * 4)
    step = WIDTH / max(len(points) - 1, 1)
    line = " ".join(f"{place * step:.1f},{HEIGHT * (1 - count / top):.1f}" for place, _name, count in known)
    levels = [level(HEIGHT * part / 4) for part in range(1, 4)]
    return Plot(
        drawing("trend", [*levels, plot_line("line", line)]),
        heads,
        tuple((name, "-" if count is None else f"{count:,}") for name, count in points),
        left=points[0][0] if points else "",
        right=points[-1][0] if points else "",
        top=f"{top:,}",
        axis=steps_to(top),
        xs=spread(len(points)),
        points=len(known),
        latest=f"{known[-1][1]}: {known[-1][2]:,}" if known else "",
    )
