"""When a node leaves a system alone, and how many calls may wait for one."""

from __future__ import annotations

import contextlib

import aiohttp
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


def unconnected() -> egress.Unreachable:
    """Return the failure of a call for which no connection came about."""
    why = egress.Unreachable()
    why.__cause__ = aiohttp.ConnectionTimeoutError()
    return why


def fail(systems: Isolation, name: str = "erp", why: Exception | None = None, by: str = "bot") -> None:
    with contextlib.suppress(egress.Unreachable, egress.ForbiddenAddress), systems.call(name, by):
        raise why or unconnected()


def refusal(systems: Isolation, name: str = "erp", by: str = "bot") -> NotForwarded | None:
    try:
        with systems.call(name, by):
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
    def answer(by: str = "bot", *, is_away: bool) -> None:
        with systems.call("erp", by) as attempt:
            attempt.is_away = is_away

    for by, is_away in (("a", True), ("b", True), ("b", False), ("a", True), ("b", True), ("b", True)):
        answer(by, is_away=is_away)
    assert told == [("erp", 3)]
    clock.now += 16
    answer("a", is_away=True)
    answer("b", is_away=True)
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
    for by in ("a", "b", "a"):
        fail(systems, why=egress.Unreachable(status=503), by=by)
    assert refusal(systems) is not None


def test_after_the_pause_one_call_is_tried_and_decides(
    systems: Isolation, clock: Clock, told: list[tuple[str, int]]
) -> None:
    for _ in range(3):
        fail(systems)
    clock.now += 15.1
    with contextlib.suppress(egress.Unreachable), systems.call("erp", "bot"):
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
    with contextlib.suppress(KeyError), systems.call("erp", "bot"):
        raise KeyError
    assert refusal(systems) is None


def test_only_so_many_calls_wait_for_one_system(systems: Isolation) -> None:
    with systems.call("erp", "a"), systems.call("erp", "b"):
        refused = refusal(systems)
        assert refused is not None
        assert (refused.code, refused.retry_after) == (Code.SYSTEM_BUSY, 1)
        assert refusal(systems, "hr") is None
    assert refusal(systems) is None
    assert systems.waiting() == []


@pytest.mark.parametrize("why", [egress.Unreachable(status=500), egress.Unreachable()], ids=["answered", "broke off"])
def test_what_one_agent_alone_sees_pauses_that_agent_at_that_system(
    systems: Isolation, clock: Clock, told: list[tuple[str, int]], why: Exception
) -> None:
    for _ in range(3):
        fail(systems, why=why)
    refused = refusal(systems)
    assert refused is not None
    assert (refused.code, refused.data) == (Code.UPSTREAM_UNAVAILABLE, {"certain": True})
    assert (refusal(systems, "hr"), refusal(systems, by="other"), told) == (None, None, [])
    clock.now += 16
    fail(systems, why=why)
    assert (refusal(systems, by="other"), refusal(systems) is None) == (None, False), "the one that was tried failed"
    clock.now += 16
    assert (refusal(systems), refusal(systems)) == (None, None)


def test_of_the_failures_that_pause_a_system_half_are_of_one_agent_at_most(told: list[tuple[str, int]]) -> None:
    systems = Isolation(Bounds(2, 6, 30, 10), lambda system, failures: told.append((system, failures)))
    for by in ["a"] * 5 + ["b"] * 2:
        fail(systems, why=egress.Unreachable(status=500), by=by)
    assert refusal(systems, by="c") is None
    for by in ["d"] * 5 + ["e"] * 3:
        fail(systems, why=egress.Unreachable(status=500), by=by)
    assert (refusal(systems, by="c") is None, told) == (False, [("erp", 8)])


def test_one_agents_bad_call_does_not_keep_a_system_paused(systems: Isolation, clock: Clock) -> None:
    for _ in range(3):
        fail(systems, by="other")
    clock.now += 16
    fail(systems, why=egress.Unreachable(status=500))
    assert refusal(systems) is not None, "the agent whose call was tried is paused"
    assert (refusal(systems, by="other"), refusal(systems, by="third")) == (None, None)


def test_one_agent_holds_no_more_places_of_a_system_than_are_left() -> None:
    systems = Isolation(Bounds(8, 3, 30, 10), lambda *_: None)
    with contextlib.ExitStack() as held:
        for _ in range(4):
            held.enter_context(systems.call("erp", "greedy"))
        refused = refusal(systems, by="greedy")
        assert refused is not None
        assert (refused.code, refused.retry_after, refused.data) == (Code.RATE_LIMITED, 1, {"certain": True})
        assert [refusal(systems, by="other") for _ in range(50)] == [None] * 50
    assert refusal(systems, by="greedy") is None


def test_one_agent_holds_no_more_places_of_a_node_than_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "MOST_CALLS", 8)
    systems = Isolation(BOUNDS, lambda *_: None)
    with contextlib.ExitStack() as held:
        for number in range(4):
            held.enter_context(systems.call(f"system-{number}", "greedy"))
        refused = refusal(systems, "erp", by="greedy")
        assert refused is not None
        assert refused.code == Code.RATE_LIMITED
        assert refusal(systems, "erp", by="other") is None


def test_a_call_that_waits_for_its_client_holds_no_place() -> None:
    systems = Isolation(Bounds(2, 3, 30, 10), lambda *_: None)
    with systems.call("erp", "bot"):
        assert refusal(systems) is not None
        systems.wait_for_client("erp", "bot")
        assert refusal(systems) is None
        systems.count_again("erp", "bot")
        assert refusal(systems) is not None
    assert refusal(systems) is None
