"""Run what failed in the last run of the tests once more, alone and in one process.

Continuous integration calls it after `make test` has failed. It passes only if the last run came to its end and every
test that failed there passes now. Each of these is printed as `FLAKY name`, for the list in CONTRIBUTING.md.
"""

import sys
from pathlib import Path

import pytest

FAILED = Path(".cache/failed-tests")
"""The names of the tests that failed in the last run, one a line. It exists only after a run that came to its end."""
MOST = 20
"""Failures in more modules than this come from one broken thing, and are not tried again."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Forget the run before, so that a run that dies leaves nothing to try again."""
    if not hasattr(session.config, "workerinput"):
        FAILED.unlink(missing_ok=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write down what failed, unless this is a worker, or the run was cut short and does not know."""
    if hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus != pytest.ExitCode.TESTS_FAILED or reporter is None or session.shouldfail or session.shouldstop:
        return
    failed = {report.nodeid for kind in ("failed", "error") for report in reporter.stats.get(kind, ())}
    FAILED.parent.mkdir(exist_ok=True)
    FAILED.write_text("".join(f"{name}\n" for name in sorted(failed)))


class Flaky:
    """A plugin that names the tests that pass in this run."""

    def __init__(self) -> None:
        """Begin with no test."""
        self.passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the name of a test whose body passed; a failing set-up or tear-down shows in the exit code."""
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print them before pytest's own last line."""
        for name in sorted(self.passed):
            terminalreporter.write_line(f"FLAKY {name}")


def run_failed() -> int:
    """Run the failed tests again. Returns 0 if there are some and all pass, else 1."""
    failed = FAILED.read_text().splitlines() if FAILED.exists() else []
    causes = {name.partition("::")[0] for name in failed}  # what died under a module fails each of its tests
    if not 0 < len(causes) <= MOST:
        sys.stderr.write(f"Nothing is run again: modules with failures: {len(causes)}; 1 to {MOST} are tried again.\n")
        return 1
    flaky = Flaky()
    status = pytest.main(["-p", "no:xdist", *failed], plugins=[flaky])
    return int(status != pytest.ExitCode.OK or flaky.passed != set(failed))


if __name__ == "__main__":
    sys.exit(run_failed())
