"""A limit far above the largest number that was used, and the lower one that could replace it. Pure; it only proposes.

Proposed is the next round number (1, 2 or 5, with zeros) at or above twice the largest used, where it is at most half
of the limit that holds. So it denies nothing that was done, never loosens, and is worth the look of whoever decides.
Why these numbers: decision 43.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from entitlements.decisions.constraints import number

type Figure = int | float
"""A number as JSON holds it."""

HEADROOM: Final = 2
"""How many times the largest number used stays allowed, at least."""
WORTH: Final = 2
"""How many times lower a limit becomes, at least: for less nobody is asked."""
_ROUND: Final = (1, 2, 5, 10)
_MOST_DIGITS: Final = 20
"""More than any number has that the record keeps."""


@dataclass(frozen=True, slots=True)
class Used:
    """The least and the most of one number among the arguments of allowed calls, and in how many of them it was."""

    least: Figure
    most: Figure
    calls: int


@dataclass(frozen=True, slots=True)
class Tightening:
    """One argument of one tool: the most that is allowed, the most that was used in its calls, and what could be."""

    tool: str
    argument: str
    limit: Figure
    most: Figure
    calls: int
    proposed: Figure

    def allows(self, asked: Figure) -> bool:
        """Whether a most that somebody asks for is a tightening, and leaves at least the headroom of this one."""
        return self.proposed <= asked < self.limit


def bound(most: Figure, limit: Figure) -> Figure | None:
    """Return the lower limit for the largest number used, None where there is none that is worth it."""
    used, held = number(most), number(limit)
    if used is None or held is None or used <= 0:
        return None
    proposed = _round_up(HEADROOM * Decimal(used))
    return figure(proposed) if proposed * WORTH <= held else None


def _round_up(least: Decimal) -> Decimal:
    """Return the first round number at or above one that is positive."""
    scale = Decimal(1).scaleb(least.adjusted())
    return next(scale * step for step in _ROUND if least <= scale * step)


def figure(value: Decimal) -> Figure:
    """Return a number as JSON holds it: whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def read(text: str) -> Figure | None:
    """Read a number as somebody wrote it; None where it is none, or one that could fill the memory."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return figure(value) if value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS else None


def of_line(tool: str, limits: Mapping[str, Any], used: Mapping[str, Used], calls: int) -> list[Tightening]:
    """Return what could be tightened of one tool, given its limits, what is known of its numbers, and all its calls.

    A number counts as known only where it is known of every call. Names that are pointers are left alone, and with them
    all of their tool: what was recorded tells them apart from names with dots no more.
    """
    if any(name.startswith("/") for name in limits):
        return []
    found = []
    for argument, said in sorted(limits.items()):
        seen, limit = used.get(argument), said.get("max") if isinstance(said, Mapping) else None
        if seen is None or limit is None or seen.calls != calls:
            continue
        proposed = bound(seen.most, limit)
        if proposed is not None and proposed >= said.get("min", proposed):
            found.append(Tightening(tool, argument, limit, seen.most, calls, proposed))
    return found


def tightened(limits: Mapping[str, Any], to: Mapping[str, Figure]) -> dict[str, Any]:
    """Return the limits of a tool with a lower most for some of its arguments."""
    return {**limits, **{argument: {**limits[argument], "max": most} for argument, most in to.items()}}
