"""How far two people agree, worked out by hand; and which answers a seed picks to be asked again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from governance.reviews.pack_check import verify
from governance.reviews.quality.agreement import Agreement


def pairs(*counts: int) -> Mapping[tuple[str, str], int]:
    names = ("certify", "reduce", "revoke")
    return {(first, second): n for (first, second), n in zip(((a, b) for a in names for b in names), counts)}  # noqa: B905 - fewer counts are zeros


def test_kappa_is_what_it_is_by_hand() -> None:
    # 15 kept by both, 3 kept and removed, 1 removed and kept, 6 removed by both: 21 of 25 agree, so p = 0.84.
    # First: 18 kept, 7 removed; second: 16 and 9. By chance (18 * 16 + 7 * 9) / 625 = 0.5616.
    # (0.84 - 0.5616) / (1 - 0.5616) = 0.2784 / 0.4384 = 0.6350.
    told = Agreement(pairs(15, 0, 3, 0, 0, 0, 1, 0, 6))
    assert (told.n, told.same, told.differ, told.percent, told.is_low) == (25, 21, 4, 84, False)
    assert told.kappa == pytest.approx(0.2784 / 0.4384)
    # Three classes: 8 + 3 + 5 of 20 agree, p = 0.8; 10, 4, 6 and 9, 5, 6: (90 + 20 + 36) / 400 = 0.365.
    three = Agreement(pairs(8, 1, 1, 1, 3, 0, 0, 1, 5))
    assert three.kappa == pytest.approx((0.8 - 0.365) / (1 - 0.365))


def test_kappa_is_not_defined_where_all_is_one_answer_and_remarkable_only_of_twenty() -> None:
    one = Agreement({("certify", "certify"): 30})
    assert (one.kappa, one.percent, one.is_low, one.as_json()["kappa"]) == (None, 100, False, None)
    assert (Agreement({}).kappa, Agreement({}).percent) == (None, None)
    low = {("certify", "certify"): 9, ("certify", "revoke"): 5, ("revoke", "certify"): 5}
    assert (Agreement(low).is_low, Agreement({**low, ("revoke", "revoke"): 1}).is_low) == (False, True)
    never_cut = Agreement({("certify", "certify"): 19, ("certify", "revoke"): 1})
    assert never_cut.kappa == 0, "of what was kept alone, chance explains any agreement: so what was cut is drawn too"


def test_a_seed_draws_a_share_of_what_was_kept_and_of_what_was_not_and_a_quarter_of_who_was_hasty() -> None:
    answers = {number: (number % 10 > 0, "sofia" if number <= 40 else "mona") for number in range(1, 101)}
    usual = verify.asked_again("a" * 64, 10, answers)
    assert len(usual) == 10
    assert sum(not answers[number][0] for number in usual) == 1
    assert usual == verify.asked_again("a" * 64, 10, dict(reversed(answers.items())))
    assert usual != verify.asked_again("b" * 64, 10, answers)
    more = verify.asked_again("a" * 64, 10, answers, {"mona"})
    of_mona = [number for number in more if answers[number][1] == "mona"]
    assert usual < more
    assert len(of_mona) >= 15, "a quarter of her sixty"
    assert {number for number in more if number <= 40} == {number for number in usual if number <= 40}
    assert len(verify.asked_again("a" * 64, 100, dict.fromkeys(range(600), (True, "x")))) == verify.MOST_CHECKED
