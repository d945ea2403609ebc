"""A test that starts a process where none belongs fails, whatever it starts it by."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(processes.__file__).parent
WAYS: dict[str, Callable[[], object]] = {
    "Popen": lambda: subprocess.Popen([sys.executable, "-c", ""]),
    "run without closing": lambda: subprocess.run(["true"], check=True, close_fds=False),
    "fork": lambda: os.fork(),  # noqa: PLW0108 - as it stands when it is called
    "posix_spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ),
    "multiprocessing": lambda: multiprocessing.get_context("spawn").Process(target=len).start(),
    "multiprocessing by fork": lambda: multiprocessing.get_context("fork").Process(target=len).start(),
}


@pytest.mark.parametrize("start", WAYS.values(), ids=WAYS)
def test_a_process_fails_the_test_that_starts_it_outside_its_place(start: Callable[[], object]) -> None:
    with (
        processes._of_test(ROOT / "governance" / "test_planted.py"),
        pytest.raises(pytest.fail.Exception, match=r"A test in governance/test_planted.py started a process"),
    ):
        start()


@pytest.mark.parametrize("place", ["nodes/gateway/test_calls.py", "architecture/test_imports.py"])
def test_a_process_is_started_where_it_belongs(place: str) -> None:
    with processes._of_test(ROOT / place):
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)


def test_git_lists_files_anywhere() -> None:
    with processes._of_test(ROOT / "governance" / "test_planted.py"):
        assert subprocess.run(["git", "--version"], check=True, capture_output=True).stdout


def test_every_place_beside_the_folders_is_there() -> None:
    assert [place for place in processes.ELSEWHERE if not (ROOT / place).exists()] == []
    assert [name for name in processes.FOLDERS if not (ROOT / name).is_dir()] == []
