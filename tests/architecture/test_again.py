"""The second try that continuous integration gives to what failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.again import FAILED, MOST

ROOT = Path(__file__).parents[2]
TESTS = """
from pathlib import Path

def test_sound():
    pass

def test_flaky():
    first = not Path("was-here").exists()
    Path("was-here").touch()
    assert not first

def test_broken():
    assert not Path("broken").exists()
"""

# The plugins of the project are not looked for: loading them takes most of the time of each of these runs.
ALONE = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text("from tests.again import pytest_sessionfinish, pytest_sessionstart\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


def run(project: Path, *command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=ALONE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_fails_once_is_named_flaky_and_lets_the_run_pass(project: Path) -> None:
    assert run(project, "pytest", "-p", "xdist", "-n", "2")[0] == 1
    status, output = run(project, "tests.again")
    assert status == 0, output
    assert "FLAKY test_some.py::test_flaky" in output
    assert "test_sound" not in output


def test_what_fails_twice_fails_the_run(project: Path) -> None:
    (project / "broken").touch()
    assert run(project, "pytest")[0] == 1
    status, output = run(project, "tests.again")
    assert status == 1
    assert "FLAKY test_some.py::test_flaky" in output
    assert "1 failed, 1 passed" in output


def test_a_test_that_is_skipped_the_second_time_did_not_pass(project: Path) -> None:
    (project / FAILED.parent).mkdir()
    (project / FAILED).write_text("test_other.py::test_once\n")
    (project / "test_other.py").write_text("import pytest\n\n@pytest.mark.skip\ndef test_once():\n    pass\n")
    assert run(project, "tests.again")[0] == 1


@pytest.mark.parametrize("cut", [["-x"], ["--maxfail=1"]])
def test_a_run_that_was_cut_short_is_not_tried_again(project: Path, cut: list[str]) -> None:
    (project / "broken").touch()
    assert run(project, "pytest")[0] == 1
    assert run(project, "pytest", *cut)[0] != 0
    assert not (project / FAILED).exists()
    assert run(project, "tests.again")[0] == 1


def test_many_causes_are_not_tried_again(project: Path) -> None:
    (project / FAILED.parent).mkdir()
    (project / FAILED).write_text("".join(f"test_{number}.py::test_sound\n" for number in range(MOST + 1)))
    status, output = run(project, "tests.again")
    assert status == 1
    assert "Nothing is run again" in output


def test_a_module_whose_tests_all_fail_is_one_cause(project: Path) -> None:
    names = [f"test_each[{number}]" for number in range(MOST + 1)]
    (project / "test_many.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('number', range(21))\ndef test_each(number):\n    pass\n"
    )
    (project / FAILED.parent).mkdir()
    (project / FAILED).write_text("".join(f"test_many.py::{name}\n" for name in names))
    assert run(project, "tests.again")[0] == 0
