"""What is over its budget is named, with what takes most of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import durations, parts

BUDGET = {"folders": {"tests/audit": 10}, "test": 2, "pace": 0.015}


CONFTEST = """
from tests import durations
from tests.durations import pytest_runtest_makereport
from tests.parts import pytest_addoption

durations._budget = lambda: {"test": 0.01, "pace": 1}
"""
TESTS = """
import time
import pytest

def work():
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass

@pytest.fixture
def world():
    work()

def test_dear():
    work()

def test_of_a_dear_world(world):
    pass

@pytest.mark.soak
def test_soak():
    work()
"""


@pytest.mark.parametrize(
    ("options", "failed"), [([], ["test_some.py::test_dear"]), (["--full"], []), (["--part=fuzz"], [])]
)
def test_a_dear_body_fails_its_test_by_name_and_a_dear_fixture_or_a_run_of_long_ones_does_not(
    tmp_path: Path, options: list[str], failed: list[str]
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rf", "-W", "ignore::pytest.PytestUnknownMarkWarning", *options],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(durations.BUDGET.parents[1]),
            "PATH": "/usr/bin:/bin",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")] == failed, done.stdout
    assert f"{3 - len(failed)} passed" in done.stdout, done.stdout + done.stderr
    assert ("CPU seconds of" in done.stdout) is bool(failed)


def test_a_folder_over_its_budget_names_its_three_dearest_tests() -> None:
    tests = {f"tests/audit/test_long.py::test_{number}": float(number) for number in range(6)}
    (line,) = durations.over(tests, BUDGET, dict.fromkeys(tests, 0.015))
    assert line.startswith("tests/audit: 15 s of 11 s; its dearest tests: tests/audit/test_long.py::test_5 (5.0 s), ")
    assert line.count("::") == 3


def test_what_ran_while_the_machine_was_slow_counts_for_less_and_on_a_fast_one_for_no_more() -> None:
    tests = {f"tests/audit/test_long.py::test_{number}": float(number) for number in range(6)}
    paces = dict.fromkeys(tests, 0.015)
    assert durations.over(tests, BUDGET, dict.fromkeys(tests, 0.0225)) == []
    assert durations.over(tests, BUDGET, paces | {"tests/audit/test_long.py::test_5": 0.075}) == []
    assert durations.over(tests, BUDGET, paces | {"tests/audit/test_long.py::test_0": 0.075}) != []
    assert (
        durations.over({"tests/audit/test_long.py::test_a": 10.9}, BUDGET, {"tests/audit/test_long.py::test_a": 0.005})
        == []
    )


def test_a_folder_without_a_budget_is_over() -> None:
    tests = {"tests/new/test_new.py::test_a": 0.1, "tests/audit/test_a.py::test_a": 3.0}
    (line,) = durations.over(tests, BUDGET, dict.fromkeys(tests, 0.015))
    assert line.startswith("tests/new: ")


@pytest.mark.parametrize(
    ("test", "seconds", "slower", "is_dear"),
    [
        ("tests/audit/test_a.py::test_a", 3.0, 1.0, True),
        ("tests/audit/test_a.py::test_a", 1.9, 1.0, False),
        ("tests/audit/test_a.py::test_a", 2.9, 1.5, False),
        ("tests/audit/test_long.py::test_a[row]", 19.0, 1.0, False),
        ("tests/audit/test_long.py::test_a[row]", 21.0, 1.0, True),
        ("tests/nodes/test_a.py::test_a", 30.0, 1.0, False),
    ],
)
def test_a_dear_test_outside_the_folders_for_processes_fails(
    monkeypatch: pytest.MonkeyPatch, test: str, seconds: float, slower: float, *, is_dear: bool
) -> None:
    monkeypatch.setattr(durations, "_budget", lambda: BUDGET)
    monkeypatch.setattr(parts, "times", lambda: {"tests/audit/test_long.py::test_a": 10.0})
    monkeypatch.setattr(durations, "pace", lambda: 0.015 * slower)
    assert bool(durations.too_dear(test, seconds)) is is_dear


def test_a_run_of_everything_writes_what_takes_long_all_rows_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(durations, "TIMES", tmp_path / "kept/times.toml")
    durations._write_times({"tests/a.py::test_a[1]": 0.4, "tests/a.py::test_a[2]": 0.4, "tests/a.py::test_b": 0.6})
    assert tomllib.loads(durations.TIMES.read_text()) == {"tests/a.py::test_a": 0.8}


def test_the_budget_is_of_folders_that_exist() -> None:
    budget = tomllib.loads(durations.BUDGET.read_text())
    root = durations.BUDGET.parents[1]
    assert [name for name in budget["folders"] if not (root / name).exists()] == []
    assert budget["pace"] > 0
