"""The everything-server and the conformance client of the official Python SDK, from its source, unmodified."""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from scripts.devservers import free_port
from tests.architecture import tree
from tests.conformance import servers

PROGRAM: Final = "mcp_everything_server"
CLIENT: Final = "client.py"
_KEPT: Final = {
    PROGRAM: f"examples/servers/everything-server/{PROGRAM}",
    CLIENT: f".github/actions/conformance/{CLIENT}",
}
"""What is kept of the distribution: a folder and a file."""
FETCH_SECONDS: Final = 120
UNREACHABLE: Final = ("NewConnectionError", "NameResolutionError", "No matching distribution", "ConnectTimeout")
"""What pip says where there is no registry. A wrong digest is a failure."""


def folder() -> Path:
    """Return the folder that holds both programs. Skips the test where the registry cannot be reached."""
    release = f"mcp-{version('mcp')}"
    cache = tree.ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    made = cache / f"programs-{release}"
    with (cache / "everything.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not made.exists():
            _fetch(release, made)
    return made


def _fetch(release: str, made: Path) -> None:
    pins = (tree.ROOT / "requirements/dev.txt").read_text()
    pinned = re.search(r"^mcp==(?:.*\\\n)+.*\n", pins, re.MULTILINE)
    assert pinned is not None
    with tempfile.TemporaryDirectory() as there:
        (Path(there) / "pins.txt").write_text(pinned[0])
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "mcp", "--quiet", "-d", there]
        command += ["--require-hashes", "-r", f"{there}/pins.txt"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        if done.returncode and any(word in done.stderr for word in UNREACHABLE):
            pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        with tarfile.open(f"{there}/{release}.tar.gz") as archive:
            archive.extractall(there, filter="data")
        part = made.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for name, place in _KEPT.items():
            found = Path(there) / release / place
            shutil.copytree(found, part / name) if found.is_dir() else shutil.copy(found, part / name)
        part.rename(made)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run it until the block ends, and yield its address."""
    port = free_port()
    command = [str(folder() / PROGRAM / "server.py"), "--port", str(port), "--log-level", "WARNING"]
    with servers.listening(command, port):
        yield f"http://localhost:{port}/mcp"
