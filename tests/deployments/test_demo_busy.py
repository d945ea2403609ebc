"""The demo on a machine that does much besides: one core, which two loops without end want as well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import waits
from tests.deployments.conftest import a_demo

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be kept to a core here"),
]
LOOP = [sys.executable, "-c", "while True: pass"]
STORY_SECONDS = 8 * waits.SECONDS


@pytest.fixture
def _one_busy_core() -> Iterator[None]:
    """Keep this test and what it starts to one core, beside two loops."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    loops = [subprocess.Popen(LOOP) for _ in range(2)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()
    os.sched_setaffinity(0, usual)


@pytest.mark.usefixtures("_one_busy_core")
def test_on_a_third_of_a_core_the_console_answers_in_a_minute_and_the_story_holds(tmp_path: Path) -> None:
    with a_demo(tmp_path) as demo:
        child = demo.start("--once")
        waits.until(lambda: "The console is at" in demo.printed(), child)

        status = child.wait(timeout=STORY_SECONDS)

        assert (status, demo.left()) == (0, []), demo.printed()
