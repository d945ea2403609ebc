"""Date windows: `after`, `before` and `within`, over dates and times as RFC 3339 writes them.

A time names its offset from UTC; one without is no time here. A date stands for its day of UTC. Compared are a date
with a date, a time with a time, and a time with the day of a bound. A date against a bound that is a time is neither
before nor after it: which part of the day is meant, no one has said. Leap seconds, `24:00`, small letters and a space
in place of the `T` are refused, since readers differ about them.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Final

from entitlements.constraints.values import Malformed, text

type Moment = tuple[bool, int]
"""Whether it is a time; its nanoseconds, or its day, since the year 1."""
type Window = tuple[int, int]
"""How many seconds before now, and after now."""

_SECOND: Final = 10**9
_DAY: Final = 86_400 * _SECOND
_EPOCH: Final = date(1970, 1, 1).toordinal() * _DAY
_LONGEST: Final = 100 * 366 * 86_400
_LONGEST_MOMENT: Final = 35
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9])))?"
)
_WINDOW: Final = re.compile(
    r"([+-]?)P(?:([0-9]{1,5})W|(?:([0-9]{1,5})D)?(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})S)?)?)"
)
_UNITS: Final = ((7 * 86_400, "W"), (86_400, "D"), (3_600, "H"), (60, "M"), (1, "S"))
_WORDS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def moment(value: object) -> Moment | None:
    """Read a date, or a time with its offset. None for anything else."""
    content = text(value)
    match = _MOMENT.fullmatch(content) if content is not None and len(content) <= _LONGEST_MOMENT else None
    if match is None:
        return None
    try:
        day = date.fromisoformat(match[1]).toordinal()
    except ValueError:
        return None
    if match[2] is None:
        return False, day
    seconds = (int(match[2]) * 60 + int(match[3])) * 60 + int(match[4])
    offset = (int(match[7]) * 60 + int(match[8])) * 60 if match[6] else 0
    seconds -= -offset if match[6] == "-" else offset
    return True, day * _DAY + seconds * _SECOND + int((match[5] or "").ljust(9, "0"))


def read_moment(written: object) -> tuple[Moment, str]:
    """Read the bound of an `after` or `before`, and how it is written. Raises Malformed."""
    bound = moment(written)
    if bound is None:
        raise Malformed("after and before want a date such as 2026-12-31, or a time such as 2026-12-31T17:00:00+01:00")
    return bound, str(written)


def is_comparable(bound: tuple[Moment, str], value: object) -> bool:
    """Whether a value is a date or time that lies surely on one side of a bound."""
    parsed = moment(value)
    return parsed is not None and (parsed[0] or not bound[0][0])


def after(bound: tuple[Moment, str], value: object, _now: float | None) -> bool:
    """Whether a date or time is later than a bound; than all of the day, where the bound is a date."""
    parsed = moment(value)
    return parsed is not None and _is_later(parsed, bound[0])


def before(bound: tuple[Moment, str], value: object, _now: float | None) -> bool:
    """Whether a date or time is earlier than a bound."""
    parsed = moment(value)
    return parsed is not None and _is_earlier(parsed, bound[0])


def _is_later(value: Moment, bound: Moment) -> bool:
    if value[0] == bound[0]:
        return value[1] > bound[1]
    return value[0] and value[1] >= (bound[1] + 1) * _DAY


def _is_earlier(value: Moment, bound: Moment) -> bool:
    if value[0] == bound[0]:
        return value[1] < bound[1]
    return value[0] and value[1] < bound[1] * _DAY


def not_sooner(inner: tuple[Moment, str], outer: tuple[Moment, str]) -> bool:
    """Whether all that is after one bound is after another. In doubt, no."""
    return inner[0] == outer[0] or _is_later(inner[0], outer[0])


def not_later(inner: tuple[Moment, str], outer: tuple[Moment, str]) -> bool:
    """Whether all that is before one bound is before another. In doubt, no."""
    return inner[0] == outer[0] or _is_earlier(inner[0], outer[0])


def is_empty(start: tuple[Moment, str], end: tuple[Moment, str]) -> bool:
    """Whether an `after` and a `before` leave nothing between them."""
    first, last = (each[0][1] if each[0][0] else each[0][1] * _DAY for each in (start, end))
    return first >= last


def read_window(written: object) -> Window:
    """Read a `within`: an ISO 8601 duration to both sides of now, with `-` the past alone, with `+` the future.

    Without years and months, which are not equally long. Raises Malformed.
    """
    match = _WINDOW.fullmatch(written) if isinstance(written, str) else None
    length = sum(int(match[place]) * unit for place, (unit, _) in enumerate(_UNITS, 2) if match[place]) if match else 0
    if match is None or not 0 < length <= _LONGEST or match.string.endswith("T"):
        raise Malformed("within wants a duration such as P30D, PT12H, -P30D (the past alone) or +P1W (the future)")
    return (0 if match[1] == "+" else length), (0 if match[1] == "-" else length)


def within(window: Window, value: object, now: float | None) -> bool:
    """Whether a date or time is near enough to now, in seconds since 1970; a date by its day of UTC.

    Without a now nothing is.
    """
    parsed = moment(value)
    if parsed is None or now is None or not math.isfinite(now):
        return False
    seconds = math.floor(now)
    instant = _EPOCH + seconds * _SECOND + math.floor((now - seconds) * _SECOND)
    first, last = instant - window[0] * _SECOND, instant + window[1] * _SECOND
    return first <= parsed[1] <= last if parsed[0] else first // _DAY <= parsed[1] <= last // _DAY


def is_narrower(inner: Window, outer: Window) -> bool:
    """Whether a window lies within another."""
    return inner[0] <= outer[0] and inner[1] <= outer[1]


def say_window(window: Window) -> str:
    """Write a window as the rest of a sentence."""
    back, forth = window
    length = _say_length(max(window))
    if back and forth:
        return f"is within {length} of now"
    return f"is in the last {length}" if back else f"is in the next {length}"


def _say_length(seconds: int) -> str:
    parts = []
    for unit, word in _WORDS:
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count} {word}{'' if count == 1 else 's'}")
    return " and ".join(parts)
