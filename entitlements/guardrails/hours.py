"""Days of the week and hours of the day in a named time zone. Pure: the moment comes in as epoch seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS: Final = frozenset({"days", "from", "to", "zone"})
_MINUTES: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
_DAY: Final = 24 * 60


class HoursMalformed(ValueError):
    """The hours cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From minute `begin` to before minute `end` of each of `days` (0 is Monday), as clocks in `zone` show it.

    An end at or before the beginning is on the next day.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def hold(self, now: float) -> bool:
        """Say whether a moment lies in these hours; one that is no time does."""
        try:
            local = datetime.fromtimestamp(now, self.zone)
        except (ValueError, OverflowError, OSError):
            return True
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


def read(written: object) -> Hours:
    """Read `{"days": ["mon", ...], "from": "22:00", "to": "06:00", "zone": "Europe/Paris"}`. Raises HoursMalformed.

    Without days every day is meant, without `from` and `to` the whole day. The zone is a name of the tz database.
    """
    if not isinstance(written, Mapping) or not written.keys() <= _WORDS or "zone" not in written:
        raise HoursMalformed("time is an object of days, from, to and zone, and names its zone")
    if ("from" in written) != ("to" in written) or not written.keys() & {"days", "from"}:
        raise HoursMalformed("time names days, or from and to together")
    begin, end = _minute(written.get("from", "00:00")), _minute(written.get("to", "00:00"))
    if "from" in written and begin == end:
        raise HoursMalformed("time begins and ends at the same minute")
    return Hours(_days(written.get("days", DAYS)), begin, end or _DAY, _zone(written["zone"]))


def _days(written: object) -> frozenset[int]:
    if not isinstance(written, list | tuple) or not written or not all(day in DAYS for day in written):
        raise HoursMalformed(f"days is a list of {', '.join(DAYS)}")
    return frozenset(DAYS.index(day) for day in written)


def _minute(written: object) -> int:
    match = _MINUTES.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise HoursMalformed("from and to are times such as 22:00")
    return int(match[1]) * 60 + int(match[2])


def _zone(written: object) -> ZoneInfo:
    if isinstance(written, str) and _ZONE.fullmatch(written):
        try:
            return ZoneInfo(written)
        except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
            pass
    raise HoursMalformed("zone is a name of the time zone database, such as Europe/Paris")
