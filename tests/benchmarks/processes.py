"""The servers under measurement: started on free ports of this machine, watched through /proc, stopped by number."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.demo.servers import layout

ROOT = Path(__file__).resolve().parents[2]
ANCHORS = ROOT / ".venv-bench/bin/python"
TICKS = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"


class NotStartedError(Exception):
    """A server did not come up; the message ends with what it said last."""


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(_fields(stat)[1]), []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _fields(stat: Path) -> list[str]:
    """Return what follows the name: state, parent, ..."""
    return stat.read_text().rpartition(")")[2].split()


@dataclass
class Server:
    """A running server with all its workers."""

    pid: int
    port: int
    host: str = HOST

    @property
    def origin(self) -> str:
        """Return its address, without a path."""
        return f"http://{HOST}:{self.port}"

    def cpu(self) -> float:
        """Return the core-seconds it has used so far, user and system, with those of its workers that have ended."""
        spent = 0
        for pid in family(self.pid):
            with contextlib.suppress(OSError):
                fields = _fields(Path(f"/proc/{pid}/stat"))
                spent += sum(map(int, fields[11:15] if pid == self.pid else fields[11:13]))
        return spent / TICKS

    def resident(self) -> int:
        """Return its resident memory in MiB."""
        pages = 0
        for pid in family(self.pid):
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, environment: Mapping[str, str] | None = None, *, within: float = 30
) -> Iterator[Server]:
    """Run a server for the length of a `with` block, once it accepts connections. Raises NotStartedError."""
    with tempfile.TemporaryFile() as log:
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until = time.monotonic() + within
            while not _accepts(port):
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise NotStartedError(log.read().decode(errors="replace").strip()[-1500:])  # noqa: TRY301 - noted below
                time.sleep(0.05)
            yield Server(process.pid, port)
        except NotStartedError:
            raise
        except BaseException as why:
            log.seek(0)
            if said := log.read().decode(errors="replace").strip():
                why.add_note(f"{command} said last:\n{said[-3000:]}")
            raise
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def web(port: int) -> list[str]:
    """Return the command of our web process, as production runs it, with one worker."""
    return [
        *(sys.executable, "-m", "granian", *layout.FRONT, "--host", HOST, "--port", str(port)),
        *("--workers", "1", "--log-level", "warning", layout.WEB),
    ]


def gateway(port: int) -> list[str]:
    """Return the command of our gateway, as production runs it."""
    return [sys.executable, "-m", "governance.edge", "--host", HOST, "--port", str(port), "--log-level", "warning"]


def granian(module: str, port: int, *, python_path: str = "") -> list[str]:
    """Return the command of a Django project on granian: WSGI, one worker, four threads."""
    here = ["--working-dir", python_path] if python_path else []
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port)),
        *("--workers", "1", "--blocking-threads", "4", "--no-ws", "--log-level", "warning", *here, module),
    ]


def uvicorn(module: str, port: int, *, python: str = sys.executable) -> list[str]:
    """Return the command of an ASGI application on uvicorn, one process."""
    return [
        *(python, "-m", "uvicorn", module, "--host", HOST, "--port", str(port), "--loop", "uvloop"),
        *(
            "--http",
            "httptools",
            "--no-access-log",
            "--no-server-header",
            "--log-level",
            "warning",
            "--lifespan",
            "auto",
        ),
    ]
