"""What the tests take, in CPU seconds of their own process and of its children that ended; `budget.toml` bounds it.

Seconds of the clock say how busy the machine was. A busy machine takes more CPU seconds as well, so a fixed piece of
work is measured now and then, and what a test took counts for less where that took long just before. `make full`
writes what takes long to `.cache/times.toml`.
"""

from __future__ import annotations

import resource
import statistics
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests import parts

BUDGET: Final = Path(__file__).with_name("budget.toml")
TIMES: Final = BUDGET.parents[1] / ".cache/times.toml"
LONG: Final = 0.7
ROOM: Final = 1.1
SHOWN: Final = 10
DEAREST: Final = 3
LISTED_ROOM: Final = 2
"""A test that is listed with its time may take so many times that long."""
LONG_RUN: Final = 60
"""Shorter runs, in CPU seconds, print nothing."""
PACE_EVERY: Final = 300
"""Phases of tests, of which each has three."""
PROCESSES: Final = (
    *("tests/nodes/", "tests/browser/", "tests/deployments/", "tests/conformance/"),
    "tests/entitlements/stdio/",  # what one test started may be counted to the next
)
"""The folders of tests that start processes; a single test elsewhere has a bound."""

_last = [0.0]
_phases = [0]
_pace = [0.0]
"""What the fixed piece of work took last."""


def used() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def pace() -> float:
    """Return the CPU seconds that a fixed piece of work takes."""
    began = time.process_time()
    sum(number * number for number in range(400_000))
    return time.process_time() - began


def pytest_collection_finish() -> None:
    """Count from here: collecting belongs to no test."""
    _last[0] = used()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let the report of each phase carry what it took, from a worker to who prints it, and fail a test that is dear."""
    report: Any = yield
    report.cpu = used() - _last[0]
    if _phases[0] % PACE_EVERY == 0:
        _pace[0] = pace()
    report.pace = _pace[0]
    if (
        report.when == "call"
        and report.passed
        and not _may_be_long(item)
        and (line := too_dear(item.nodeid, report.cpu))
    ):
        report.outcome, report.longrepr = "failed", line
    _phases[0] += 1
    _last[0] = used()
    return report  # type: ignore[no-any-return] # what was yielded


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a whole run in which a folder took more than its budget."""
    if session.config.option.full and not hasattr(session.config, "workerinput"):
        _write_times(_taken(session.config)[0])
    if _over(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_times(tests: Mapping[str, float]) -> None:
    """Keep what takes long, for who brings `times.toml` up to date."""
    long = sorted(each for each in _sums(tests, parts.function).items() if each[1] >= LONG)
    TIMES.parent.mkdir(exist_ok=True)
    TIMES.write_text("".join(f'"{name}" = {seconds:.1f}\n' for name, seconds in long))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the dearest modules and each folder of a long run, and what is over its budget."""
    tests, paces = _taken(config)
    if (total := sum(tests.values())) < LONG_RUN:
        return
    terminalreporter.section("CPU seconds")
    terminalreporter.write_line(
        f"{total:7.0f} s  {len(tests):5} tests, at a pace of {statistics.median(paces.values()):.3f} s"
    )
    for key in (_folder, _module):
        for name, seconds in _dearest(_sums(tests, key))[:SHOWN]:
            terminalreporter.write_line(f"{seconds:7.1f} s  {sum(key(test) == name for test in tests):5} tests  {name}")
    for line in _over(config):
        terminalreporter.write_line(f"OVER BUDGET {line}", red=True)


def too_dear(test: str, seconds: float) -> str:
    """Return why a single test fails that took so long, or nothing; what its fixtures took is not its own."""
    budget = _budget()
    may = max(budget["test"], LISTED_ROOM * parts.times().get(parts.function(test), 0.0))
    if seconds <= may or test.startswith(PROCESSES):
        return ""
    may *= max(1.0, pace() / budget["pace"])
    return f"{seconds:.1f} CPU seconds of {may:.1f}: see tests/times.toml" if seconds > may else ""


def over(tests: Mapping[str, float], budget: Mapping[str, Any], paces: Mapping[str, float]) -> list[str]:
    """Return a line for each folder that took more than it may, at the pace at which its budget was measured.

    `paces` say how fast the machine was as each test ran. A folder without a budget may take nothing.
    """
    lines, fair = [], {test: seconds / max(1.0, paces[test] / budget["pace"]) for test, seconds in tests.items()}
    for folder, seconds in _dearest(_sums(fair, _folder)):
        if seconds > (may := budget["folders"].get(folder, 0) * ROOM):
            dearest = _dearest({test: each for test, each in fair.items() if _folder(test) == folder})[:DEAREST]
            named = ", ".join(f"{test} ({each:.1f} s)" for test, each in dearest)
            lines.append(f"{folder}: {seconds:.0f} s of {may:.0f} s; its dearest tests: {named}")
    return lines


@cache
def _budget() -> dict[str, Any]:
    return tomllib.loads(BUDGET.read_text())


def _may_be_long(item: pytest.Item) -> bool:
    return bool(item.config.option.full or item.config.option.part or item.get_closest_marker("soak"))


def _over(config: pytest.Config) -> list[str]:
    if not parts.is_whole() or hasattr(config, "workerinput"):
        return []
    tests, paces = _taken(config)
    return over(tests, _budget(), paces)


def _taken(config: pytest.Config) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU seconds of each test, and the pace at which it ran."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    tests, paces = defaultdict[str, float](float), dict[str, float]()
    for report in (each for reports in reporter.stats.values() for each in reports):
        if isinstance(report, pytest.TestReport):
            tests[report.nodeid] += getattr(report, "cpu", 0.0)
            paces[report.nodeid] = getattr(report, "pace", 0.0)
    return tests, paces


def _sums(tests: Mapping[str, float], key: Callable[[str], str]) -> dict[str, float]:
    sums = defaultdict[str, float](float)
    for test, seconds in tests.items():
        sums[key(test)] += seconds
    return sums


def _dearest(sums: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(sums.items(), key=lambda each: -each[1])


def _module(test: str) -> str:
    return test.partition("::")[0]


def _folder(test: str) -> str:
    return "/".join(_module(test).split("/")[:2])
