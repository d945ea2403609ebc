import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import idle, processes

GIVEN = ("DATABASE_URL", "REDIS_URL", "MANDATE_TEST", "PYTEST", "DJANGO_SETTINGS")


def run(*chosen: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not any(word in name for word in GIVEN)}
    command = [sys.executable, "-m", "tests.benchmarks", "--smoke", *chosen]
    done = subprocess.run(command, cwd=processes.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_rests_is_counted_by_its_name_and_its_log_with_it(tmp_path: Path) -> None:
    (tmp_path / "web.log").write_bytes(b"12345")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = idle.look(os.getpid(), {child.pid: "web"}, tmp_path)
        child.communicate(b"\n")
    assert found.seconds.keys() >= {"web"}
    assert found.resident["web"] > 0
    assert 0 < found.shared_once <= sum(found.resident.values())
    assert found.logged == len(b"12345")


def test_decisions_are_still_measured() -> None:
    assert "Decision in process" in run("decision")


@pytest.mark.soak  # it starts every server several times
@pytest.mark.timeout(300)
def test_each_bench_still_runs_and_prints_its_table() -> None:
    said = run()
    for title in (
        "Decision in process",
        "tools/call",
        "issue_token_v3",
        "16 issuers",
        "Exchange with redemption",
        "Introspection",
        "Revoke to deny",
        "16 clients",
        "The list component",
        "Files of lists against",
        "Lists, slowest first",
        "with and without a budget",
        "Expiry and sealing",
        "with one worker and with two",
        "agents renew within",
        "Staging a review",
        "Answering and closing",
    ):
        assert title in said
