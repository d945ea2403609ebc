"""What is over its budget is named, with what takes most of it."""

from __future__ import annotations

import tomllib

import pytest

from tests import durations

BUDGET = {"folders": {"tests/audit": 10}, "test": 2, "dear": ["tests/audit/test_long.py"], "pace": 0.015}


def test_a_folder_over_its_budget_names_its_three_dearest_tests() -> None:
    tests = {f"tests/audit/test_long.py::test_{number}": float(number) for number in range(6)}
    (line,) = durations.over(tests, BUDGET, 1.0)
    assert line.startswith("tests/audit: 15 s of 11 s; its dearest tests: tests/audit/test_long.py::test_5 (5.0 s), ")
    assert line.count("::") == 3


def test_a_slow_machine_has_more_room_and_a_fast_one_no_less() -> None:
    tests = {f"tests/audit/test_long.py::test_{number}": float(number) for number in range(6)}
    assert durations.over(tests, BUDGET, 1.5) == []
    assert durations.over({"tests/audit/test_long.py::test_a": 10.9}, BUDGET, 0.5) == []


def test_a_folder_without_a_budget_is_over() -> None:
    (line,) = durations.over({"tests/new/test_new.py::test_a": 0.1, "tests/audit/test_a.py::test_a": 3.0}, BUDGET, 1.0)
    assert line.startswith("tests/new: ")


@pytest.mark.parametrize(
    ("test", "seconds", "slower", "is_dear"),
    [
        ("tests/audit/test_a.py::test_a", 3.0, 1.0, True),
        ("tests/audit/test_a.py::test_a", 2.1, 1.0, False),
        ("tests/audit/test_a.py::test_a", 3.0, 1.5, False),
        ("tests/audit/test_long.py::test_a", 30.0, 1.0, False),
        ("tests/nodes/test_a.py::test_a", 30.0, 1.0, False),
    ],
)
def test_a_dear_test_outside_the_folders_for_processes_fails(
    monkeypatch: pytest.MonkeyPatch, test: str, seconds: float, slower: float, *, is_dear: bool
) -> None:
    monkeypatch.setattr(durations, "_budget", lambda: BUDGET)
    monkeypatch.setattr(durations, "pace", lambda: 0.015 * slower)
    assert bool(durations.too_dear(test, seconds)) is is_dear


def test_the_budget_is_of_folders_and_tests_that_exist() -> None:
    budget = tomllib.loads(durations.BUDGET.read_text())
    root = durations.BUDGET.parents[1]
    assert [
        name for name in (*budget["folders"], *budget["dear"]) if not (root / name.partition("::")[0]).exists()
    ] == []
    assert budget["pace"] > 0
