"""The demo waits as long as something moves, and plays what does not stand on a step that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import cast

import pytest

from scripts.demo import progress
from scripts.demo.story import play
from scripts.demo.story.stage import DoesNotHold, Stage

SLOW = 300


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be a second later, and no time pass."""
    seconds: Iterator[int] = count()
    monkeypatch.setattr("scripts.demo.progress.time.monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr("scripts.demo.progress.time.sleep", lambda _seconds: None)


def after(looks: int) -> Callable[[], str | None]:
    """Return what finds something at the last of so many looks."""
    left = count(looks, -1)
    return lambda: "found" if next(left) <= 0 else None


@pytest.mark.usefixtures("hurry")
def test_a_wait_goes_on_as_long_as_something_moves_and_says_what_for(capsys: pytest.CaptureFixture[str]) -> None:
    moving = count()

    assert progress.wait("the slow one", after(SLOW), lambda: next(moving)) == "found"

    assert "waiting for the slow one: " in capsys.readouterr().out


@pytest.mark.usefixtures("hurry")
def test_a_wait_ends_when_nothing_moves_and_names_what_it_was_for() -> None:
    with pytest.raises(progress.Stalled, match=r"the slow one was waited for .*nothing moved"):
        progress.wait("the slow one", after(SLOW), lambda: "always the same")


@pytest.mark.usefixtures("hurry")
def test_a_wait_ends_one_day_although_something_else_moves() -> None:
    moving = count()
    with pytest.raises(progress.Stalled, match="it does not come"):
        progress.wait("what never comes", lambda: None, lambda: next(moving))


def test_what_stands_on_a_step_that_does_not_hold_is_not_played_and_the_others_are() -> None:
    played: list[str] = []

    def step(name: str, problem: Exception | None = None) -> Callable[[Stage], None]:
        def act(_stage: Stage) -> None:
            played.append(name)
            if problem:
                raise problem

        return act

    plan: dict[str, tuple[play.Play, tuple[str, ...]]] = {
        "one": (step("one", DoesNotHold("it was answered 500")), ()),
        "two": (step("two"), ("one",)),
        "three": (step("three"), ("two",)),
        "four": (step("four", TimeoutError()), ()),
        "five": (step("five"), ()),
    }
    stage = cast("Stage", type("Nowhere", (), {"step": 0}))

    failed = asyncio.run(play.play(stage, plan))

    assert played == ["one", "four", "five"]
    assert failed == {
        "one": "it was answered 500",
        "two": "was not played: it stands on one",
        "three": "was not played: it stands on two",
        "four": "TimeoutError()",
    }


def test_each_step_stands_on_steps_before_it() -> None:
    names = [*play.STEPS]
    assert all(names.index(other) < names.index(name) for name, (_, others) in play.STEPS.items() for other in others)
