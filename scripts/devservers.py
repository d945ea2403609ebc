"""The servers of a private stack: which binaries, under which account, how they start, stop and break.

`scripts/devstack.py` says what the stack is for. Only the standard library.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scripts.devprograms import Account, StackError, find_postgres, find_valkey

DATABASE = "mandate"
ROLES = {
    "mandate_owner": "MIGRATE_DATABASE_URL",
    "mandate_app": "DATABASE_URL",
    "mandate_seal": "SEAL_DATABASE_URL",
    "mandate_issue": "ISSUE_DATABASE_URL",
}
BUILTIN_LOCALE_SINCE = 17
PORTS = range(12_000, 32_000)
"""Where free ports are looked for: below what Linux (from 32,768) and others (from 49,152) give away by themselves."""
START_SECONDS = 30.0
STOP_SECONDS = 10.0
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": 0,
    "max_parallel_workers_per_gather": 0,
    "autovacuum": "off",  # of rows that are not committed it would count none, and plans would be made for none
}
"""What gives up durability, replicas and parallel plans for speed on small data."""
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until `done()`; False when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def free_port(together: int = 1) -> int:
    """Return a loopback TCP port that was free a moment ago, as were those after it, if several are wanted together.

    It is none that the system gives away by itself: one of those may be taken by any connection before it is used.
    """
    for _ in range(200):
        port = PORTS.start + secrets.randbelow(len(PORTS) - together)
        if all(_is_free(number) for number in range(port, port + together)):
            return port
    message = f"No port from {PORTS.start} to {PORTS.stop} is free."
    raise StackError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Server:
    """One server of the stack; tests of faults stop, kill, pause and start it, on the same port and data."""

    name: str
    process: subprocess.Popen[bytes] | None = None

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.folder, self.port = account, folder, free_port()
        self.on_start: Callable[[str, int], None] = lambda _name, _pid: None

    def command(self) -> list[str]:
        """Return the command line that serves in the foreground."""
        raise NotImplementedError

    def standard_input(self) -> bytes:
        """Return what the server reads from its standard input: secrets stay out of the process list."""
        return b""

    def answers(self) -> bool:
        """Say whether the server takes connections."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start and wait until it answers. Raises StackError with the end of its log."""
        with self.log.open("ab") as log:
            how = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
            self.process = self.account.popen(self.command(), **how)
        assert self.process.stdin is not None
        self.process.stdin.write(self.standard_input())
        self.process.stdin.close()
        self.on_start(self.name, self.process.pid)
        if not until(lambda: self._is_gone() or self.answers(), START_SECONDS) or self._is_gone():
            message = f"{self.name} does not start:\n{self.log.read_text(errors='replace')[-2000:]}"
            raise StackError(message)

    def _is_gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server and wait: smart, fast or immediate as PostgreSQL means them."""
        self.send(signal.SIGCONT)
        self.send(STOP_SIGNALS[mode])
        if not until(self._is_gone, STOP_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End the server the way a crash does."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self.send(signal.SIGCONT)


class Postgres(Server):
    """PostgreSQL on 127.0.0.1 and on a unix socket in its folder, with the four roles of the product."""

    name = "postgres"

    def __init__(self, account: Account, folder: Path, *, fast: bool) -> None:
        super().__init__(account, folder)
        self.fast, self.data = fast, folder / "data"
        self.binaries, self.version = find_postgres(account, folder)
        self.passwords = {role: secrets.token_urlsafe(24) for role in ("postgres", *ROLES)}

    def create(self, kept: Path | None = None) -> None:
        """Make the cluster, the roles and the database, before anyone can connect; from an archive of `pack`, if any.

        An archive that is cut short, or that this version does not read, is removed, and all is made anew.
        """
        if kept is not None and kept.exists():
            try:
                self._unpack(kept)
            except (OSError, StackError):
                kept.unlink(missing_ok=True)
                shutil.rmtree(self.data, ignore_errors=True)
            else:
                return
        self._initialise()
        statements = [f"CREATE ROLE {role} LOGIN PASSWORD '{self.passwords[role]}'" for role in ROLES]
        # The owner may create databases, since each test worker has one; the others may not.
        statements += ["ALTER ROLE mandate_owner CREATEDB", f"CREATE DATABASE {DATABASE} OWNER mandate_owner"]
        self._execute_alone(statements)

    def _unpack(self, kept: Path) -> None:
        with kept.open("rb") as archive:
            self._tar("-xf", "-", "-C", str(self.folder), stdin=archive)
        self._execute_alone([f"ALTER ROLE {role} PASSWORD '{word}'" for role, word in self.passwords.items()])

    def pack(self, kept: Path) -> None:
        """Keep the cluster in an archive; the server is stopped for so long. Raises OSError or StackError."""
        made = kept.with_suffix(f".{os.getpid()}")
        self.stop()
        try:
            with made.open("xb") as archive:
                self._tar("-cf", "-", "-C", str(self.folder), self.data.name, stdout=archive)
            made.replace(kept)
        finally:
            made.unlink(missing_ok=True)
            self.start()

    def _tar(self, *arguments: str, **pipes: object) -> None:
        with self.account.popen(["tar", *arguments], **pipes) as process:
            pass
        if process.returncode:
            raise StackError(f"tar failed with {process.returncode}")

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self.passwords["postgres"])
        os.chown(password, self.account.uid, self.account.gid)
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.version >= BUILTIN_LOCALE_SINCE else []
        )
        options = [
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--no-sync",
        ]
        initdb = [str(self.binaries / "initdb"), f"--pgdata={self.data}", "--no-locale", *locale, *options]
        self.account.run(initdb)
        password.unlink()

    def _execute_alone(self, statements: list[str]) -> None:
        """Run statements while no server runs: roles get their passwords before anyone can connect."""
        alone = [str(self.binaries / "postgres"), "--single", "-j", "-F", "-D", str(self.data), "postgres"]
        output = self.account.run(alone, "".join(f"{statement};\n\n" for statement in statements).encode())
        if b"ERROR" in output:
            raise StackError(output.decode(errors="replace"))

    def command(self) -> list[str]:
        """Return the command line; only `fast` gives up durability against a crash of the machine."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "shared_buffers": "128MB",
            "timezone": "UTC",
            # Shared memory as files of the data folder, so that a killed server leaves none elsewhere.
            "dynamic_shared_memory_type": "mmap",
            "jit": "off",  # compiling takes longer than any query on so little data
            **(FAST if self.fast else {}),
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *flags]

    def answers(self) -> bool:
        """Read the status that PostgreSQL writes in the eighth line of its pid file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        ready = 7
        is_ours = self.process is not None and lines[:1] == [str(self.process.pid)]
        return is_ours and len(lines) > ready and lines[ready].strip() == "ready"

    def url(self, role: str, database: str = DATABASE) -> str:
        """Return the address for one role, over TCP: the one form that every client of ours reads."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def environment(self) -> dict[str, str]:
        """Return the variables that name this server."""
        roles = {variable: self.url(role) for role, variable in ROLES.items()}
        return {**roles, "ADMIN_DATABASE_URL": self.url("postgres", "postgres")}


class Valkey(Server):
    """Valkey on 127.0.0.1, in memory only: stopping it loses everything, as a lost queue would."""

    name = "valkey"

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        self.program, self.password = find_valkey(account, folder), secrets.token_urlsafe(24)

    def command(self) -> list[str]:
        """Return the command line that reads its configuration from standard input."""
        return [str(self.program), "-"]

    def standard_input(self) -> bytes:
        """Return the configuration, with the password."""
        lines = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": '""', "appendonly": "no"}
        return "".join(f"{key} {value}\n" for key, value in {**lines, "requirepass": self.password}.items()).encode()

    def ask(self, command: str) -> str:
        """Send one inline command and return the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(f"AUTH {self.password}\r\n{command}\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < len(("AUTH", command)) and (more := connection.recv(4096)):
                answer += more
        return answer.decode().splitlines()[-1] if answer else ""

    def answers(self) -> bool:
        """Ask for a PONG."""
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False

    def flush(self) -> None:
        """Forget everything."""
        self.ask("FLUSHALL")

    def environment(self) -> dict[str, str]:
        """Return the variable that names this server."""
        return {"REDIS_URL": f"redis://:{self.password}@127.0.0.1:{self.port}/0"}
