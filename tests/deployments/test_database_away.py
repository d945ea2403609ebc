"""The web process while its database hangs, which ends no query, or is gone: it says so at once, and it heals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from governance.web_server import database_watch
from scripts import devstack
from tests import waits
from tests.nodes.attacks.web import ROOT, web


@pytest.fixture
def stack() -> Iterator[devstack.Stack]:
    """Run a database of our own, which can be stopped."""
    with devstack.stack(fast=True, given={}) as own:
        settings = {**os.environ, **own, "DEMO": "1", "DJANGO_SETTINGS_MODULE": "governance.settings"}
        migrate = [sys.executable, "manage.py", "migrate", "--database", "owner", "-v", "0"]
        subprocess.run(migrate, cwd=ROOT, env=settings, check=True)
        yield own


def processes(folder: Path) -> list[int]:
    """Return the server of a data directory and its children."""
    first = int((folder / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


def test_the_web_process_answers_503_while_its_database_hangs_or_is_gone(stack: devstack.Stack, tmp_path: Path) -> None:
    settings: Any = stack
    with web(tmp_path / "log", **settings) as address, httpx2.Client(base_url=address, timeout=waits.SECONDS) as http:

        def told(path: str) -> tuple[int, str]:
            answer = http.get(path, headers={"Authorization": "Bearer mnd_pat_none"} if path == "/api/v1/me" else {})
            assert answer.status_code != 503 or "retry-after" in answer.headers or path == "/readyz"
            return answer.status_code, answer.text

        def is_away() -> bool:
            return told("/api/v1/me")[0] == told("/login/")[0] == 503

        def is_as_usual() -> bool:
            return told("/api/v1/me")[0] == 401 and told("/login/")[0] == told("/readyz")[0] == 200

        waits.until(is_as_usual)
        assert "mandate_database_up 1.0" in told("/metrics")[1]
        for stop, start in (_frozen(stack), (lambda: stack.postgres.stop("immediate"), stack.postgres.start)):
            stop()
            try:
                for _ in range(3):  # the very first as well, and more of them than there are threads for strangers
                    assert '"code": "database_away"' in told("/api/v1/me")[1]
                assert is_away()
                assert told("/healthz") == (200, "ok\n")
                assert told("/metrics")[0] == 200
                assert "mandate_database_up 0.0" in told("/metrics")[1]
                assert (told("/readyz")[0], '"database"' in told("/readyz")[1]) == (503, True)
            finally:
                start()
            waits.until(is_as_usual)


def _frozen(stack: devstack.Stack) -> tuple[Callable[[], None], Callable[[], None]]:
    stopped: list[int] = []

    def freeze() -> None:
        stopped[:] = processes(stack.postgres.data)
        for each in stopped:
            os.kill(each, signal.SIGSTOP)

    def go_on() -> None:
        for each in stopped:
            os.kill(each, signal.SIGCONT)

    return freeze, go_on


def test_it_says_so_within_two_seconds() -> None:
    assert database_watch.SLOW_SECONDS + database_watch.PROBE_SECONDS < 2
