"""The blast radius: one number that grows with each right, and fastest with the worst."""

from __future__ import annotations

from dataclasses import replace

import pytest

from governance.blast_radius import blast_radius
from governance.blast_radius.blast_radius import Reach, WeighedLine

READS = WeighedLine("read", "internal", Reach.ONE, attended=True)


@pytest.mark.parametrize(
    ("changed", "heavier"),
    [
        ({"action": "write"}, 4),
        ({"action": "delete"}, 8),
        ({"action": "execute"}, 8),
        ({"action": "never heard of"}, 8),
        ({"data_class": "public"}, 0.2),
        ({"data_class": "confidential"}, 3),
        ({"data_class": "restricted"}, 6),
        ({"data_class": "never heard of"}, 6),
        ({"reach": Reach.TEAM}, 2),
        ({"reach": Reach.EVERYBODY}, 4),
        ({"attended": False}, 1.5),
    ],
)
def test_each_factor_multiplies_and_the_unknown_counts_as_the_worst(changed: dict[str, object], heavier: float) -> None:
    assert blast_radius.weight(READS) == 1
    assert blast_radius.weight(replace(READS, **changed)) == pytest.approx(heavier)  # type: ignore[arg-type]


def test_nobody_by_name_reaches_as_far_as_a_whole_organisation() -> None:
    assert [blast_radius.reach(people) for people in (0, 1, 2, 25, 26)] == [
        Reach.EVERYBODY,
        Reach.ONE,
        Reach.TEAM,
        Reach.TEAM,
        Reach.EVERYBODY,
    ]


def test_the_number_is_nothing_for_nothing_grows_with_each_line_and_ends_at_a_hundred() -> None:
    assert blast_radius.score([]) == 0
    assert blast_radius.score([1]) == 7
    assert blast_radius.score([1] * 9) == 22
    assert blast_radius.score([288]) == 54
    assert blast_radius.score([1e9]) == 100
