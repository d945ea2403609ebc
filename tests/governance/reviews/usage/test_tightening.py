"""The lower limit that could replace one far above its use: a rule tried on many numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.decisions import limits
from governance.reviews.usage import tighter_limits
from governance.reviews.usage.tighter_limits import Figure, NumberRange, Tightening

_NUMBERS = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(min_value=-1e15, max_value=1e15, allow_nan=False).map(lambda n: round(n, 6))
)


@pytest.mark.parametrize(
    ("most", "limit", "proposed"),
    [
        (420, 10_000, 1_000),
        (500, 10_000, 1_000),
        (501, 10_000, 2_000),
        (1_000, 10_000, 2_000),
        (2_500, 10_000, 5_000),
        (2_501, 10_000, None),  # 10,000 is no lower limit
        (420, 2_000, 1_000),
        (420, 1_999, None),  # which would not even be halved
        (1, 100, 2),
        (0.3, 5, 1),
        (0.02, 5, 0.05),
        (10.5, 5_000_000.5, 50),
        (0, 100, None),  # of nothing there is no multiple
        (-3, 100, None),
    ],
)
def test_proposed_is_the_next_round_number_at_or_above_twice_the_most(
    most: Figure, limit: Figure, proposed: Figure | None
) -> None:
    assert tighter_limits.bound(most, limit) == proposed


@given(st.lists(_NUMBERS, min_size=1, max_size=8), _NUMBERS, st.sampled_from([{}, {"optional": True}]))
def test_a_tightening_denies_no_call_that_passed_and_never_loosens(
    asked: list[Figure], limit: Figure, more: dict[str, bool]
) -> None:
    held: dict[str, Any] = {"amount": {"max": limit, **more}, "to": {"equals": "x"}}
    passed = [n for n in asked if isinstance(limits.load(held).covers({"amount": n, "to": "x"}), limits.Covered)]
    if not passed:
        return
    used = {"amount": NumberRange(min(passed), max(passed), len(passed))}
    for each in tighter_limits.of_line("pay", held, used, len(passed)):
        after = tighter_limits.tightened(held, {each.argument: each.proposed})
        assert after != held
        assert limits.tightens(held, after)
        assert not limits.tightens(after, held)
        compiled = limits.compile(after)
        assert all(isinstance(compiled.covers({"amount": n, "to": "x"}), limits.Covered) for n in passed)
        assert Decimal(str(each.proposed)) >= 2 * Decimal(str(max(passed)))
        assert each.allows(each.proposed)
        assert not each.allows(limit)


def test_nothing_is_proposed_where_a_number_is_not_known_of_every_call() -> None:
    held = {"amount": {"max": 10_000}, "days": {"max": 90, "optional": True}}
    known = {"amount": NumberRange(5, 420, 61), "days": NumberRange(1, 2, 60)}
    assert tighter_limits.of_line("pay", held, known, 61) == [Tightening("pay", "amount", 10_000, 420, 61, 1_000)]
    assert tighter_limits.of_line("pay", held, {}, 61) == []
    assert tighter_limits.of_line("pay", {"amount": {"min": 0}}, known, 61) == [], "there is no most to lower"
    assert tighter_limits.of_line("pay", {}, known, 61) == []


def test_what_the_limit_itself_has_moved_beyond_is_left_alone() -> None:
    assert (
        tighter_limits.of_line(
            "pay", {"amount": {"min": 2_000, "max": 10_000}}, {"amount": NumberRange(5, 420, 61)}, 61
        )
        == []
    )


def test_names_that_are_pointers_and_what_stands_beside_them_are_left_alone() -> None:
    known = {"sum.net": NumberRange(5, 420, 61)}
    assert len(tighter_limits.of_line("pay", {"sum.net": {"max": 10_000}}, known, 61)) == 1
    assert tighter_limits.of_line("pay", {"/sum.net": {"max": 10_000}}, known, 61) == []
    both = {"sum.net": {"max": 10_000}, "/sum.net": {"max": 50, "optional": True}}
    assert tighter_limits.of_line("pay", both, known, 61) == []


def test_a_gentler_limit_may_be_asked_for_and_never_one_that_loosens_or_takes_the_headroom() -> None:
    each = Tightening("pay", "amount", 10_000, 420, 61, 1_000)
    asked = (999, 1_000, 2_500.5, 9_999, 10_000, 20_000, float("nan"), float("inf"))
    assert [n for n in asked if each.allows(n)] == [1_000, 2_500.5, 9_999]
