"""How long the rest of a reviewer's items takes, at the pace of their own decisions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

FEWEST: Final = 5
"""From how many decisions on a pace is known."""
PAUSE: Final = timedelta(minutes=10)
"""What lies between two decisions for longer was a pause."""


def time_left(decided_at: Sequence[datetime], left: int) -> timedelta | None:
    """Return how long `left` items take at the median time between the decisions so far.

    `decided_at` are the times of the decisions that were made one by one. None before there are five of them, and
    where pauses leave too few times between them; a minute at least.
    """
    gaps = [later - earlier for earlier, later in pairwise(sorted(decided_at))]
    seconds = [gap.total_seconds() for gap in gaps if gap <= PAUSE]
    if not left or len(seconds) < FEWEST - 1:
        return None
    return max(timedelta(minutes=1), timedelta(seconds=median(seconds) * left))
