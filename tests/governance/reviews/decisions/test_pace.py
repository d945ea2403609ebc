"""How long the rest of a review takes: at the reviewer's own pace, and not said before five decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from governance.reviews.items import review_rules
from governance.reviews.workbench import pace

_START = datetime(2026, 11, 2, 9, tzinfo=UTC)


def _times(*seconds: int) -> list[datetime]:
    """Return the times of decisions, by the seconds since the first one."""
    return [_START + timedelta(seconds=each) for each in seconds]


@pytest.mark.parametrize(
    ("decided", "left", "minutes"),
    [
        (_times(0, 30, 60, 90), 10, None),  # four decisions
        (_times(0, 30, 60, 90, 120), 10, 5),
        (_times(0, 20, 60, 100, 1000), 10, None),  # a pause leaves too few times between
        (_times(0, 20, 60, 100, 1000, 1040), 9, 6),  # the median of 20, 40, 40, 40 seconds
        (_times(0, 1, 2, 3, 4), 2, 1),
        (_times(120, 0, 60, 90, 30), 10, 5),  # in whatever order
        (_times(0, 30, 60, 90, 120), 0, None),
    ],
)
def test_the_time_left_is_the_median_of_the_times_between_decisions(
    decided: list[datetime], left: int, minutes: int | None
) -> None:
    assert pace.time_left(decided, left) == (None if minutes is None else timedelta(minutes=minutes))


def test_each_decision_offers_at_most_five_reasons_that_count_for_it() -> None:
    for verb, codes in review_rules.FITTING.items():
        assert 0 < len(codes) <= 5
        assert set(codes) <= set(review_rules.REASONS[verb])
