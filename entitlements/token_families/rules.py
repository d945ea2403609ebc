"""How long a sign-in lasts, and what a refresh token is worth that was used before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

IDLE: Final = timedelta(days=14)
"""A family that is not refreshed for so long has ended."""
LONGEST: Final = timedelta(days=30)
LONGEST_UNPROVEN: Final = timedelta(hours=12)
"""How long at most where nothing but the refresh token says which client refreshes."""


class Use(StrEnum):
    """What presenting a generation means."""

    CURRENT = "current"
    AGAIN = "again"
    """It was replaced a moment ago: another process of the same client may not have heard, and gets its successor."""
    REPLAYED = "replayed"
    UNKNOWN = "unknown"


def use(presented: int, generation: int, retired: Sequence[datetime], now: datetime, window: timedelta) -> Use:
    """Say what a presented generation is worth.

    `generation` is the one in use, `retired` when those before it were replaced, the latest first, `window` how long
    one that was replaced still counts. RFC 9700 section 4.14.2: one that is used later was stolen, or the rest was.
    """
    if presented == generation:
        return Use.CURRENT
    if not 0 < presented < generation:
        return Use.UNKNOWN
    place = generation - 1 - presented
    if place < len(retired) and now - retired[place] <= window:
        return Use.AGAIN
    return Use.REPLAYED


def ends(started: datetime, *, is_proven: bool) -> datetime:
    """Return when a family ends at the latest; `is_proven`: whether its client proves who it is."""
    return started + (LONGEST if is_proven else LONGEST_UNPROVEN)


def is_over(last_used: datetime, expires: datetime, now: datetime) -> bool:
    """Whether a family has ended by time alone."""
    return not now < min(expires, last_used + IDLE)
