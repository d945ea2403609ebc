"""The modules that take longest, printed at the end of a long run: whoever adds a minute removes one."""

from collections import Counter

import pytest

SHOWN = 10
LONG_RUN = 60
"""Shorter runs, in seconds of all workers, print nothing."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long all tests took, the workers together, and which modules took longest."""
    seconds, tests = Counter[str](), Counter[str]()
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        if isinstance(report, pytest.TestReport):
            module = report.nodeid.partition("::")[0]
            seconds[module] += report.duration
            tests[module] += report.when == "call"
    if seconds.total() >= LONG_RUN:
        terminalreporter.section("longest modules")
        terminalreporter.write_line(f"{seconds.total():7.0f} s  in {len(seconds)} modules, all workers together")
        for module, took in seconds.most_common(SHOWN):
            terminalreporter.write_line(f"{took:7.1f} s  {tests[module]:4} tests  {module}")
