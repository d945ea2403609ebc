"""The release before this one: which it is, its files, and its processes beside those of the working tree."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.demo.servers import layout
from tests import databases, waits
from tests.architecture import tree

LEAVES = {"audit": "0001_tables", "entitlements": "0001_tables", "governance": "0001_tables"}
"""The last migrations of the release before this one: until one follows 0.9, the first point with those of 0.9."""


@functools.cache
def commit() -> str:
    """Return the point that is called the release before this one; empty where this clone is too shallow to hold it."""
    path = f"entitlements/migrations/{LEAVES['entitlements']}.py"
    added = _git("log", "--format=%H", "--diff-filter=A", "--", path).stdout.decode().split()
    return added[-1] if added and not _git("cat-file", "-e", f"{added[-1]}^").returncode else ""


def check_out(folder: Path) -> Path:
    """Write the release's files into a folder."""
    archive = _git("archive", "--format=tar", commit())
    archive.check_returncode()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=tree.ROOT, capture_output=True, check=False)


@dataclass
class Tree:
    """The product's files, old or new, and how its programs are run on one database."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, seconds: float = 2 * waits.SECONDS, **more: str) -> str:
        """Run a program of this tree to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=self._environment(more),
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip
        assert done.returncode == 0, (arguments[:3], done.stdout[-2000:], done.stderr[-3000:])
        return done.stdout

    @contextmanager
    def serving(self, command: list[str], port: int, healthy: str = "/readyz", **more: str) -> Iterator[str]:
        """Serve with a program of this tree; yields where, once it answers at `healthy`."""
        with tempfile.TemporaryFile() as log:
            child = subprocess.Popen(
                [sys.executable, *command], cwd=self.folder, env=self._environment(more), stdout=log, stderr=log
            )
            try:
                where = f"http://127.0.0.1:{port}"
                waits.until(lambda: status(f"{where}{healthy}") in {200, 405} or child.poll() is not None)
                if child.poll() is not None:
                    log.seek(0)
                    raise AssertionError(log.read()[-3000:].decode(errors="replace"))
                yield where
            finally:
                child.terminate()
                child.wait(waits.SECONDS)

    def web(self, port: int, **more: str) -> Any:  # noqa: ANN401 - a context manager
        """Serve the console, the API and the issuers; from this release on, the issuers' endpoints by an edge node."""
        command = ["-m", "granian", "--host", "127.0.0.1", "--port", str(port), *layout.FRONT, layout.WEB]
        return self.serving(command, port, **more)

    def gateway(self, port: int, name: str) -> Any:  # noqa: ANN401 - a context manager
        """Serve a gateway node."""
        command = ["-m", "uvicorn", "governance.asgi:application", "--port", str(port), "--log-level", "warning"]
        return self.serving(command, port, NODE_ID=name)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = {databases.RUN, databases.WORKER, databases.ADMIN, "DJANGO_SETTINGS_MODULE"}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return {**kept, "DJANGO_SETTINGS_MODULE": "governance.settings", **self.environment, **more}


class Quiet(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: a sign-in page is not the page that was asked for."""

    def redirect_request(self, *_: object) -> None:
        """Do nothing."""


OPEN = urllib.request.build_opener(Quiet)


def ask(
    address: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> tuple[int, bytes]:
    """Send a request; returns status and body, status 0 where nobody answers."""
    try:
        request = urllib.request.Request(address, body, dict(headers or {}), method=method)  # noqa: S310 - ours
        with OPEN.open(request, timeout=waits.SECONDS) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
    except OSError as why:
        return 0, repr(why).encode()


def status(address: str) -> int:
    """Return the status alone."""
    return ask(address)[0]


@dataclass
class Load:
    """Kinds of request that are sent one after the other, each kind by a thread of its own, until told to stop."""

    kinds: Mapping[str, Callable[[], str]]
    """Each sends one request and returns "" when it went well, else what was wrong."""
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def going(self) -> Iterator[Load]:
        """Keep sending."""
        over = threading.Event()

        def go(name: str, once: Callable[[], str]) -> None:
            while not over.is_set():
                began = time.monotonic()
                if wrong := once():
                    self.failures.append((name, wrong))
                self.counts[name] += 1
                self.longest[name] = max(self.longest.get(name, 0), time.monotonic() - began)
                over.wait(0.02)

        threads = [threading.Thread(target=go, args=kind, daemon=True) for kind in self.kinds.items()]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            over.set()
            for thread in threads:
                thread.join(waits.SECONDS)
