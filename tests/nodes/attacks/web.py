"""A web process as production runs it, on the test's database."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2

from scripts.demo.servers import layout
from scripts.devservers import free_port
from tests import waits

ROOT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def web(log: Path, *, application: str = layout.WEB, header_seconds: float = 10, **environment: str) -> Iterator[str]:
    """Run the web process until the block ends; yields its address. What it says goes into `log`."""
    port = free_port()
    base = f"http://localhost:{port}"
    command = [sys.executable, "-m", "granian", *layout.FRONT, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--http1-header-read-timeout", str(int(header_seconds * 1000)), application]
    settings = {
        "DJANGO_SETTINGS_MODULE": "governance.settings",
        "DEMO": "1",
        "RATE_LIMIT_API": "1000000",
        "RATE_LIMIT_PAGES": "1000000",
        **environment,
    }
    with log.open("wb") as said:
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdout=said, stderr=said)
        try:
            waits.until(lambda: _answers(base, child, log))
            yield base
        finally:
            waits.stop(child)


def _answers(base: str, child: subprocess.Popen[bytes], log: Path) -> bool:
    assert child.poll() is None, log.read_text(errors="replace")[-3000:]
    try:
        return httpx2.get(f"{base}/healthz", timeout=waits.A_TRY).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
