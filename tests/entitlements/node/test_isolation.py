"""When a node leaves a system alone, and how many calls may wait for one."""

from __future__ import annotations

import contextlib

import pytest

from entitlements.codes import Code
from entitlements.node.isolation import isolation
from entitlements.node.isolation.isolation import Bounds, Isolation, NotForwarded
from entitlements.upstream import egress

BOUNDS = Bounds(at_once=2, failures=3, failure_seconds=30, pause_seconds=10)


class Clock:
    """The monotonic clock, which a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(isolation, "time", moved)
    return moved


@pytest.fixture
def told() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def systems(clock: Clock, told: list[tuple[str, int]]) -> Isolation:  # noqa: ARG001 - it is moved
    return Isolation(BOUNDS, lambda system, failures: told.append((system, failures)))


def fail(systems: Isolation, name: str = "erp", why: Exception | None = None) -> None:
    with contextlib.suppress(egress.Unreachable, egress.ForbiddenAddress), systems.call(name):
        raise why or egress.Unreachable


def refusal(systems: Isolation, name: str = "erp") -> NotForwarded | None:
    try:
        with systems.call(name):
            return None
    except NotForwarded as why:
        return why


def test_failures_in_a_row_pause_one_system_and_no_other(systems: Isolation, told: list[tuple[str, int]]) -> None:
    for _ in range(3):
        fail(systems)
    refused = refusal(systems)
    assert refused is not None
    assert (refused.code, refused.data) == (Code.UPSTREAM_UNAVAILABLE, {"certain": True})
    assert 10 <= (refused.retry_after or 0) <= 15
    assert refusal(systems, "hr") is None
    assert told == [("erp", 3)]
    assert systems.waiting() == [("erp", 0, True)]
    assert systems.refused["erp", "upstream_unavailable"] == 1


def test_an_answer_that_says_the_system_is_away_is_a_failure_also_of_the_one_call_that_is_tried(
    systems: Isolation, clock: Clock, told: list[tuple[str, int]]
) -> None:
    def answer(*, is_away: bool) -> None:
        with systems.call("erp") as attempt:
            attempt.is_away = is_away

    for is_away in (True, True, False, True, True, True):
        answer(is_away=is_away)
    assert told == [("erp", 3)]
    clock.now += 16
    answer(is_away=True)
    assert refusal(systems) is not None
    clock.now += 16
    answer(is_away=False)
    assert (refusal(systems), told) == (None, [("erp", 3), ("erp", 0)])


def test_an_answer_between_begins_the_count_anew(systems: Isolation) -> None:
    for _ in range(3):
        fail(systems)
        fail(systems)
        assert refusal(systems) is None


def test_failures_long_past_do_not_count(systems: Isolation, clock: Clock) -> None:
    for _ in range(5):
        fail(systems)
        clock.now += 16
    assert refusal(systems) is None


@pytest.mark.parametrize(
    "why", [egress.Unreachable(status=401), egress.Unreachable(status=302), egress.AnswerTooLarge()]
)
def test_a_system_that_turns_calls_away_is_there(systems: Isolation, why: Exception) -> None:
    for _ in range(5):
        fail(systems, why=why)
    assert refusal(systems) is None


def test_errors_of_its_own_count(systems: Isolation) -> None:
    for _ in range(3):
        fail(systems, why=egress.Unreachable(status=503))
    assert refusal(systems) is not None


def test_after_the_pause_one_call_is_tried_and_decides(
    systems: Isolation, clock: Clock, told: list[tuple[str, int]]
) -> None:
    for _ in range(3):
        fail(systems)
    clock.now += 15.1
    with contextlib.suppress(egress.Unreachable), systems.call("erp"):
        assert refusal(systems) is not None, "one call at a time is tried"
        raise egress.Unreachable
    assert refusal(systems) is not None, "it failed, so another pause begins"
    clock.now += 15.1
    assert refusal(systems) is None
    assert refusal(systems) is None
    assert told == [("erp", 3), ("erp", 0)]


def test_a_trial_that_was_given_up_leaves_room_for_the_next(systems: Isolation, clock: Clock) -> None:
    for _ in range(3):
        fail(systems)
    clock.now += 15.1
    with contextlib.suppress(KeyError), systems.call("erp"):
        raise KeyError
    assert refusal(systems) is None


def test_only_so_many_calls_wait_for_one_system(systems: Isolation) -> None:
    with systems.call("erp"), systems.call("erp"):
        refused = refusal(systems)
        assert refused is not None
        assert (refused.code, refused.retry_after) == (Code.SYSTEM_BUSY, 1)
        assert refusal(systems, "hr") is None
    assert refusal(systems) is None
    assert systems.waiting() == []
