"""Real MCP servers and the stub identity provider as child processes, for tests that name them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.devservers import free_port
from tests import waits

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Upstream:
    """A stdio MCP server behind the runner."""

    url: str
    secret: str
    seen_file: Path

    @property
    def headers(self) -> dict[str, str]:
        """The credential that the gateway is to inject."""
        return {"Authorization": f"Bearer {self.secret}"}

    def seen(self) -> dict[str, Any]:
        """Return the digests of what arrived."""
        return dict(json.loads(self.seen_file.read_text()))


def program(name: str) -> str:
    """Return the path of a command that a package of this environment brought."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def git_repository(folder: Path) -> Path:
    """Make a repository with one commit and return its folder."""
    folder.mkdir()
    (folder / "README.md").write_text("An expense report.\n")
    identity = ["-c", "user.name=Demo", "-c", "user.email=demo@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "Begin."]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@contextlib.contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """Run a child until the block ends; it serves once it takes connections."""
    with _running(command, lambda: accepts(port), None):
        yield


@contextlib.contextmanager
def serving(command: list[str], address: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Run a child until the block ends; it serves once `address` answers."""
    with _running(command, lambda: answers(address), environment):
        yield


@contextlib.contextmanager
def _running(command: list[str], serves: Callable[[], bool], environment: dict[str, str] | None) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, *command], cwd=ROOT, env={**os.environ, **(environment or {})})
    try:
        waits.until(serves, child)
        yield
    finally:
        waits.stop(child)


def accepts(port: int) -> bool:
    """Say whether something listens there."""
    try:
        with socket.create_connection(("localhost", port), timeout=waits.A_TRY):
            return True
    except OSError:
        return False


def answers(address: str) -> bool:
    """Say whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(address, timeout=waits.A_TRY):  # noqa: S310 - our own loopback address
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def upstream(folder: Path, name: str, *command: str, secret: str = "upstream-secret") -> Iterator[Upstream]:
    """Run `command`, a stdio MCP server, behind the runner; `folder` keeps its notes."""
    port, seen = free_port(), folder / f"{name}-seen.json"
    runner = [
        "-m",
        "tests.conformance.stdio_runner",
        "--name",
        name,
        "--port",
        str(port),
        "--seen",
        str(seen),
        "--mutate",
    ]
    base = f"http://localhost:{port}"
    with serving([*runner, "--", *command], f"{base}/healthz", {"UPSTREAM_SECRET": secret}):
        yield Upstream(f"{base}/mcp", secret, seen)


@contextlib.contextmanager
def stub_idp() -> Iterator[str]:
    """Run the stub identity provider and yield its issuer."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    with serving(["-m", "scripts.demo.servers.stub_idp", "--port", str(port)], f"{issuer}/healthz"):
        yield issuer
