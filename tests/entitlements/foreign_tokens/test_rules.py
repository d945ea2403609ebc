"""What tries of a token prove: each combination, without any server."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from entitlements.foreign_tokens import rules
from entitlements.foreign_tokens.rules import BOUND, End, Finding, Means, Part, Result, Try, Unknown, VendorAnswer

ACCESS_CALL = Try(Part.ACCESS, Means.CALL, Result.WORKS)
WAYS = [(Part.ACCESS, Means.CALL), (Part.ACCESS, Means.INTROSPECTION), (Part.REFRESH, Means.REFRESH)]
COMBINATIONS = list(itertools.product([None, *Result], repeat=len(WAYS)))


@pytest.mark.parametrize(
    ("status", "stranger", "result"),
    [
        (200, 401, Result.WORKS),
        (403, 401, Result.WORKS),
        (404, 401, Result.WORKS),
        (200, 200, Result.OPEN),
        (404, 404, Result.OPEN),
        (401, None, Result.REFUSED),
        (None, None, Result.NO_ANSWER),
        (502, 401, Result.NO_ANSWER),
        (200, None, Result.NO_ANSWER),
        (200, 503, Result.NO_ANSWER),
    ],
)
def test_a_call_proves_something_only_where_a_made_up_token_is_refused(
    status: int | None, stranger: int | None, result: Result
) -> None:
    assert rules.of_call(status, stranger) == result


@pytest.mark.parametrize("results", COMBINATIONS)
def test_one_try_that_works_is_a_token_that_lives_and_all_must_be_refused_to_be_dead(
    results: tuple[Result | None, ...],
) -> None:
    tries = [Try(*way, result) for way, result in zip(WAYS, results, strict=True) if result is not None]
    finding = rules.find((Part.ACCESS, Part.REFRESH), tries)
    access, refresh = set(results[:2]), results[2]
    if Result.WORKS in results:
        assert finding.end == End.ALIVE
    elif Result.REFUSED in access and refresh == Result.REFUSED:
        assert finding.end == End.DEAD
    else:
        assert finding.end == End.UNKNOWN
        assert finding.why in (Unknown.NO_WAY, Unknown.NO_ANSWER)
    assert bool(finding.found_by) == (finding.end in (End.ALIVE, End.DEAD))


def test_nothing_tried_is_not_known() -> None:
    assert rules.find((Part.ACCESS,), []) == Finding(End.UNKNOWN, why=Unknown.NO_WAY)
    assert rules.find((), []) == Finding(End.UNKNOWN, why=Unknown.NO_WAY)


@pytest.mark.parametrize("before", [Result.WORKS, Result.REFUSED, Result.OPEN])
@pytest.mark.parametrize("means", list(Means))
def test_a_refusal_proves_an_end_only_where_the_same_way_took_the_token_before(means: Means, before: Result) -> None:
    refused = Try(Part.ACCESS, means, Result.REFUSED)
    accepted = rules.accepted([Try(Part.ACCESS, means, before)])
    assert rules.proven([refused], accepted)[0].result == (Result.REFUSED if before == Result.WORKS else Result.OPEN)
    assert rules.proven([refused], accepted, certain=[refused.name]) == [refused]
    assert rules.proven([ACCESS_CALL], []) == [ACCESS_CALL]


ALIVE, DEAD = Finding(End.ALIVE, (Means.CALL,)), Finding(End.DEAD, (Means.CALL,))
SILENT, NO_WAY = Finding(End.UNKNOWN, why=Unknown.NO_ANSWER), Finding(End.UNKNOWN, why=Unknown.NO_WAY)


@pytest.mark.parametrize("answer", list(VendorAnswer))
def test_only_what_may_still_change_is_tried_again_and_never_beyond_the_bound(answer: VendorAnswer) -> None:
    may_die = answer in (VendorAnswer.REVOKED, VendorAnswer.NO_ANSWER)
    soon = BOUND - timedelta(seconds=1)
    assert rules.is_final(ALIVE, answer, soon) is not may_die
    assert not rules.is_final(SILENT, answer, soon)
    assert rules.is_final(DEAD, answer, timedelta())
    assert rules.is_final(NO_WAY, answer, timedelta())
    assert all(rules.is_final(finding, answer, BOUND) for finding in (ALIVE, DEAD, SILENT, NO_WAY))


def test_the_tries_come_within_the_bound() -> None:
    waits = [rules.wait(tries).total_seconds() for tries in range(1, 9)]
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == BOUND.total_seconds()
    assert rules.wait(0) == rules.FIRST_WAIT
