"""The processes of the demo: each a child with its log in a file, started, watched and stopped by number.

Every child leads a session of its own, so that Ctrl-C reaches the demo alone and its children are ended in order. Their
numbers and births are noted in a manifest; when the demo itself was killed, the next start (or `--stop`) ends what it
left, and never a stranger that got the same number.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.demo import progress
from scripts.devservers import until
from scripts.devstack import Manifest, birth

STOP_SECONDS = 10.0
TAIL_LINES = 25


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class Process:
    """What to start: `ready` is the address that answers 200 once it serves; none means that running is enough.

    What `ends` is no server: it does its work, and ends with status 0.
    """

    name: str
    command: list[str]
    ready: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    ends: bool = False


class Supervisor:
    """The children that run now, in the order of their start."""

    def __init__(self, folder: Path, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs, self.environment = logs, environment
        self._manifest = Manifest(folder)
        self._children: dict[str, tuple[Process, subprocess.Popen[bytes]]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, process: Process) -> None:
        """Start a child; its standard output and error go to its log, which begins anew."""
        with self.log(process.name).open("wb") as log:
            child = subprocess.Popen(
                process.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment, **process.environment},
                start_new_session=True,
            )
        self._children[process.name] = process, child
        self._manifest.add(process.name, child.pid)

    def finish(self, process: Process) -> None:
        """Run a child to its end. Raises DemoError with the end of its log when it fails, or does nothing any more."""
        self.start(process)
        self.join(process.name)

    def join(self, name: str) -> None:
        """Wait for the end of a child that was started, as `finish` does."""
        child = self._children[name]
        status = self._wait(name, "to end", child[1].poll)
        del self._children[name]
        if status:
            raise DemoError(self.complaint(name, status))

    def wait_until_ready(self, *names: str) -> None:
        """Wait until these children, or all, answer at their addresses. Raises DemoError when one ends or hangs."""
        for name in names or [*self._children]:
            self._wait(name, "to answer", functools.partial(self._ready, self._children[name][0]))
        self.check()

    def wait_until_written(self, name: str, path: Path) -> None:
        """Wait until a child has written a file. Raises DemoError when it ends without, or hangs."""

        def is_written() -> bool | None:
            child = self._children[name][1]
            if path.exists():
                return True
            if (status := child.poll()) is not None:
                raise DemoError(self.complaint(name, status))
            return None

        self._wait(name, f"to write {path.name}", is_written)

    def _ready(self, process: Process) -> bool | None:
        self.check()
        return True if process.ready is None or answers(process.ready) else None

    def _wait[T](self, name: str, what: str, found: Callable[[], T | None]) -> T:
        pid = self._children[name][1].pid
        try:
            return progress.wait(f"{name} {what}", found, lambda: (self.log(name).stat().st_size, progress.work(pid)))
        except progress.Stalled as still:
            raise DemoError(f"{still}\n{self.complaint(name, None)}") from still

    def check(self) -> None:
        """Raise DemoError when a child has ended too early, with the end of its log."""
        for name, (process, child) in self._children.items():
            if (status := child.poll()) or (status == 0 and not process.ends):
                raise DemoError(self.complaint(name, status))

    def revive(self) -> list[str]:
        """Start again what has ended; return what to tell the person of each, with the end of its log."""
        ended = [(process, child.returncode) for process, child in self._children.values() if child.poll() is not None]
        told = [self.complaint(process.name, status) for process, status in ended]
        for process, _ in ended:
            self.start(process)
        return told

    def stop(self) -> None:
        """End every child, the last one first: a request to end, then force on it and whatever it started."""
        for _, child in reversed(self._children.values()):
            child.terminate()
        for name, (_, child) in reversed(self._children.items()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            if child.poll() is None:
                print(f"  {name} does not end and is killed")
            end_group(child.pid)
            child.wait()
        self._children.clear()

    def log(self, name: str) -> Path:
        """Return where a child's output goes."""
        return self._logs / f"{name}.log"

    def complaint(self, name: str, status: int | None) -> str:
        """Return what to tell the person: what happened, and the end of the log."""
        lines = self.log(name).read_text(errors="replace").splitlines()[-TAIL_LINES:]
        happened = "does not answer" if status is None else f"ended with status {status}"
        return "\n".join([f"{name} {happened}; the end of {self.log(name)}:", *(f"    {line}" for line in lines)])


def answers(address: str) -> bool:
    """Say whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own loopback address
            return True
    except (urllib.error.URLError, OSError):
        return False


def end_group(pid: int) -> None:
    """Kill what is left of the session that a child of ours leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_leftovers(folder: Path) -> list[str]:
    """End the children that a killed demo left behind, by their noted numbers and births; return their names."""
    manifest = Manifest(folder)
    left = {name: pid for name in manifest.read() if (pid := manifest.runs(name))}
    for pid in left.values():
        os.kill(pid, signal.SIGTERM)
    until(lambda: not any(manifest.runs(name) for name in left), STOP_SECONDS)
    for name, pid in left.items():
        if manifest.runs(name):
            end_group(pid)
    manifest.path.unlink(missing_ok=True)
    return list(left)


class PidFile:
    """The file that names the running demo, by number and birth."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def running(self) -> int | None:
        """Return the number of the demo that runs now."""
        try:
            pid, born = self.path.read_text().splitlines()
        except (OSError, ValueError):
            return None
        return int(pid) if birth(int(pid)) == born else None

    def claim(self) -> None:
        """Note this process."""
        self.path.write_text(f"{os.getpid()}\n{birth(os.getpid())}\n")

    def release(self) -> None:
        """Forget this process."""
        self.path.unlink(missing_ok=True)
