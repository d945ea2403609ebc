"""The whole demo as a child process, with a folder and ports of its own, and nothing left when a test ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.devservers import free_port
from tests import waits

ROOT = Path(__file__).resolve().parents[2]
INHERITED = ("PATH", "HOME", "LANG", "PG_BIN")
UP_SECONDS = 240.0


@dataclass
class Demo:
    """A demo whose environment holds nothing of the test run's own servers."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `make demo` without make."""
        with self._output.open("w") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "scripts.demo", *arguments],
                cwd=ROOT,
                env=self.environment,
                text=True,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(child)
        return child

    @property
    def _output(self) -> Path:
        return self.folder.with_suffix(".out")

    def printed(self) -> str:
        """Return everything that the demo has printed so far."""
        return self._output.read_text()

    def world(self, child: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait until the demo is up, and return what it tells the outside."""
        told, deadline = self.folder / "demo.json", time.monotonic() + UP_SECONDS
        while not told.exists():
            assert child.poll() is None, self.printed()
            assert time.monotonic() < deadline, "the demo does not come up"
            time.sleep(0.1)
        found: dict[str, Any] = json.loads(told.read_text())
        return found

    def left(self) -> list[str]:
        """Return what still runs or lies about: each process of a demo has its folder in its environment."""
        mark = f"DEMO_FOLDER={self.environment['DEMO_FOLDER']}".encode()
        running = [entry.parent.name for entry in Path("/proc").glob("[0-9]*/environ") if mark in _bytes_of(entry)]
        lying = [str(path) for path in self.folder.iterdir() if path.name not in {"log", "kept"}]
        return [*running, *lying, *map(str, Path(self.environment["TMPDIR"]).iterdir())]


@contextlib.contextmanager
def a_demo(folder: Path) -> Iterator[Demo]:
    """Prepare a demo on free ports; whatever was started of it has ended after the block."""
    console, gateway, sample = free_port(), free_port(2), free_port(4)
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {"CONSOLE_PORT": str(console), "GATEWAY_PORT": str(gateway), "SAMPLE_PORT": str(sample)}
    with tempfile.TemporaryDirectory(prefix="mj", dir="/tmp") as short:  # a unix socket's path has 107 bytes
        Path(short).chmod(0o755)  # PostgreSQL runs as another account when we are root
        made = Demo(folder / "var", {**environment, "DEMO_FOLDER": str(folder / "var"), "TMPDIR": short})
        try:
            yield made
        finally:
            for child in made.started:
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)
                    child.wait(timeout=waits.SECONDS)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
