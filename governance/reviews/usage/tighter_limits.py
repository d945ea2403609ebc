"""Lower limits for arguments whose limit is far above the largest number used. Pure; it only proposes.

The proposal is the next round number (1, 2 or 5, with zeros) at or above twice the largest number used, where that is
at most half of the present limit. So it denies no call that was made, never loosens a limit, and is large enough to be
worth a decision. Why these numbers: decision 43.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from entitlements.constraints.values import number

type Figure = int | float
"""A number as JSON holds it."""

HEADROOM: Final = 2
"""The least multiple of the largest number used that stays allowed."""
WORTH: Final = 2
"""The least factor by which a proposal lowers a limit."""
_ROUND: Final = (1, 2, 5, 10)
_MOST_DIGITS: Final = 20
"""More digits than any number in the audit log has."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The smallest and largest value of one numeric argument of allowed calls, and in how many calls it was."""

    least: Figure
    most: Figure
    calls: int


@dataclass(frozen=True, slots=True)
class Tightening:
    """One argument of one tool: its limit, the largest value used in its calls, and the proposed limit."""

    tool: str
    argument: str
    limit: Figure
    most: Figure
    calls: int
    proposed: Figure

    def allows(self, maximum: Figure) -> bool:
        """Whether a new maximum is below the limit and leaves at least the headroom of this proposal."""
        return self.proposed <= maximum < self.limit


def bound(most: Figure, limit: Figure) -> Figure | None:
    """Return the lower limit for the largest number used; None where none is worth it."""
    used, held = number(most), number(limit)
    if used is None or held is None or used <= 0:
        return None
    proposed = _round_up(HEADROOM * Decimal(used))
    return figure(proposed) if proposed * WORTH <= held else None


def _round_up(least: Decimal) -> Decimal:
    """Return the first round number at or above a positive one."""
    scale = Decimal(1).scaleb(least.adjusted())
    return next(scale * step for step in _ROUND if least <= scale * step)


def figure(value: Decimal) -> Figure:
    """Return a number as JSON holds it: an integer where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def read(text: str) -> Figure | None:
    """Read a number from a text; None where it is not one, or has too many digits."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return figure(value) if value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS else None


def of_line(tool: str, limits: Mapping[str, Any], used: Mapping[str, NumberRange], calls: int) -> list[Tightening]:
    """Return the possible tightenings of one tool, given its limits, the numbers seen, and the count of its calls.

    A number counts only where it is known of every call. A tool with a JSON pointer among its limits is left alone: the
    log cannot tell pointers from names with dots.
    """
    if any(name.startswith("/") for name in limits):
        return []
    tightenings = []
    for argument, rule in sorted(limits.items()):
        seen, limit = used.get(argument), rule.get("max") if isinstance(rule, Mapping) else None
        if seen is None or limit is None or seen.calls != calls:
            continue
        proposed = bound(seen.most, limit)
        if proposed is not None and proposed >= rule.get("min", proposed):
            tightenings.append(Tightening(tool, argument, limit, seen.most, calls, proposed))
    return tightenings


def tightened(limits: Mapping[str, Any], to: Mapping[str, Figure]) -> dict[str, Any]:
    """Return the limits of a tool with a lower maximum for some arguments."""
    return {**limits, **{argument: {**limits[argument], "max": most} for argument, most in to.items()}}
