"""The demo's supervision of its processes, tried on small real ones."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from scripts.demo import __main__ as demo
from scripts.demo.data import world
from scripts.demo.servers.processes import DemoError, PidFile, Process, Supervisor, answers, end_leftovers
from scripts.devservers import free_port
from scripts.devstack import Manifest, birth
from tests import waits

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN_CODE = """
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
time.sleep(60)
"""
STUBBORN = [sys.executable, "-c", STUBBORN_CODE]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor whose children are ended with the test."""
    made = Supervisor(tmp_path, tmp_path / "log", {"SAID": "by the demo"})
    yield made
    made.stop()


def web_server(port: int) -> Process:
    """A process that answers after a moment."""
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return Process("web", command, f"http://127.0.0.1:{port}/")


def runs(pid: int) -> bool:
    """Say whether a process runs."""
    return bool(birth(pid))


def test_ready_means_that_the_address_answers(supervisor: Supervisor) -> None:
    process = web_server(free_port())
    supervisor.start(process)

    supervisor.wait_until_ready()

    assert answers(cast("str", process.ready))


def test_a_child_that_ends_while_others_start_is_told_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    silent = Process("silent", SLEEP, f"http://127.0.0.1:{free_port()}/")
    broken = Process("broken", [sys.executable, "-c", "import os; raise SystemExit('no: ' + os.environ['SAID'])"])
    for process in (silent, broken):
        supervisor.start(process)

    with pytest.raises(DemoError, match=r"(?s)broken ended with status 1.*no: by the demo"):
        supervisor.wait_until_ready()


def test_a_step_that_fails_is_told_with_its_status(supervisor: Supervisor) -> None:
    with pytest.raises(DemoError, match="migrate ended with status 3"):
        supervisor.finish(Process("migrate", [sys.executable, "-c", "raise SystemExit(3)"]))


def test_a_job_that_has_ended_well_does_not_end_the_wait_for_the_others(supervisor: Supervisor) -> None:
    supervisor.start(Process("job", [sys.executable, "-c", ""], ends=True))
    supervisor.join("job")
    supervisor.start(Process("other job", [sys.executable, "-c", ""], ends=True))
    supervisor.start(web_server(free_port()))

    supervisor.wait_until_ready()


def test_a_child_that_ends_without_its_file_is_told(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(Process("seed", [sys.executable, "-c", "raise SystemExit('no tables')"], ends=True))

    with pytest.raises(DemoError, match=r"(?s)seed ended with status 1.*no tables"):
        supervisor.wait_until_written("seed", tmp_path / "tables")


def test_a_part_that_fails_is_returned_and_the_demo_goes_on(supervisor: Supervisor) -> None:
    broken = Process("figures", [sys.executable, "-c", "raise SystemExit(3)"])

    (told,) = demo.attempt("Computing", lambda: supervisor.finish(broken))

    assert told.startswith("Computing: figures ended with status 3")


def test_what_ends_while_the_world_is_up_is_told_and_started_again(supervisor: Supervisor) -> None:
    supervisor.start(Process("beat", [sys.executable, "-c", "raise SystemExit('gone')"]))

    (told,) = waits.until(supervisor.revive)

    assert "beat ended with status 1" in told
    assert "gone" in told
    waits.until(supervisor.revive)


def test_stopping_ends_children_that_refuse_and_what_they_started(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.demo.servers.processes.STOP_SECONDS", 0.3)
    supervisor.start(Process("stubborn", STUBBORN))
    log = supervisor.log("stubborn")
    waits.until(lambda: log.read_text().strip().isdigit())
    grandchild = int(log.read_text())

    supervisor.stop()

    waits.until(lambda: not runs(grandchild))


def test_what_a_killed_demo_left_is_ended_and_a_stranger_is_not(tmp_path: Path) -> None:
    killed = Supervisor(tmp_path, tmp_path / "log", {})
    killed.start(Process("web", SLEEP))
    stranger = subprocess.Popen(SLEEP)
    manifest = Manifest(tmp_path)
    pid, _ = manifest.read()["web"]
    manifest.path.write_text(json.dumps({**manifest.read(), "reused": (stranger.pid, "an earlier birth")}))
    try:
        assert end_leftovers(tmp_path) == ["web"]
        assert stranger.poll() is None
        assert not runs(pid)
    finally:
        stranger.kill()
        stranger.wait()
        killed.stop()


def test_a_pid_file_names_only_the_process_that_wrote_it(tmp_path: Path) -> None:
    mine = PidFile(tmp_path / "demo.pid")
    assert mine.running() is None

    mine.claim()
    assert mine.running() == os.getpid()

    mine.path.write_text(f"{os.getpid()}\nanother birth\n")
    assert mine.running() is None


def test_the_world_is_for_its_owner_alone_whatever_lay_there(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text("{}")
    path.chmod(0o644)
    told = cast("world.World", {"console": "http://localhost:8000"})

    world.write(told, path)

    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert world.read(path) == told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tls"], "--tls is not available yet"),
        (["--fleet=10"], "is not a number from 20"),
        (["--system", "x=https://example.com/mcp"], "is not SLUG=http://localhost"),
        (["--system", "x=http://localhost.evil.example/mcp"], "is not SLUG=http://localhost"),
        (["--system", "time=http://localhost:9/mcp"], "are taken"),
        (["--nodes=0"], "invalid choice"),
    ],
)
def test_a_bad_argument_is_refused_in_words(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        demo.parse(arguments)

    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_systems_of_the_visitor_are_read_in_order() -> None:
    options = demo.parse(
        ["--system", "one=http://localhost:9/mcp", "--system", "two=http://127.0.0.1/mcp", "--nodes=2"]
    )

    assert options.systems == [("one", "http://localhost:9/mcp"), ("two", "http://127.0.0.1/mcp")]
    assert options.nodes == 2
