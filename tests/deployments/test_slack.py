"""The process that listens to Slack: it waits for a token, and ends when it is told to."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import waits
from tests.architecture import tree


@pytest.mark.django_db(transaction=True)
def test_the_command_waits_without_a_token_and_stops_when_it_is_told(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    program = [sys.executable, "manage.py", "slack"]
    with subprocess.Popen(program, cwd=tree.ROOT, env={**os.environ, "ALIVE_FILE": str(alive)}) as process:
        try:
            waits.until(lambda: alive.exists() or process.poll() is not None)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(waits.SECONDS) == 0
        finally:
            process.kill()
