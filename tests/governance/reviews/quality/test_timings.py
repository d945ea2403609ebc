"""Which times are put together, so that nobody is told of: neither by a group, nor by what is left."""

from __future__ import annotations

import pytest

from governance.reviews.quality import timings

EVEN = dict.fromkeys(range(5), 4)


@pytest.mark.parametrize(
    ("given", "is_several"),
    [
        (EVEN, True),
        (dict.fromkeys(range(4), 100), False),
        ({**EVEN, 0: 16}, True),
        ({**EVEN, 0: 17}, False),
        ({}, False),
    ],
)
def test_several_are_five_of_whom_nobody_gave_more_than_half(given: dict[int, int], *, is_several: bool) -> None:
    assert timings.is_anonymous(given) is is_several


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ({}, []),
        ({"low": EVEN}, [("low",)]),
        ({"low": {1: 50}}, []),
        ({"low": EVEN, "high": EVEN}, [("high",), ("low",)]),
        # Four small ones are several together.
        ({"low": EVEN, "high": {7: 2, 8: 2}, "critical": {9: 2, 10: 2, 11: 2}}, [("low",), ("critical", "high")]),
        # What is left of one person would tell of her, so the smaller of the others joins it.
        (
            {"low": dict.fromkeys(range(9), 9), "medium": EVEN, "critical": {3: 1}},
            [("low",), ("critical", "medium")],
        ),
        # Somebody who gave nearly everything is told of by any group.
        ({"low": EVEN, "high": {0: 500}}, []),
    ],
)
def test_groups_tell_of_nobody_nor_does_what_is_left(
    given: dict[str, dict[int, int]], groups: list[tuple[str, ...]]
) -> None:
    assert timings.groups(given) == groups
