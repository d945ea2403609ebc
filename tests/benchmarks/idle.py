"""What a world at rest costs: the demo's processes, PostgreSQL and Valkey among them, while nothing happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.demo.servers import layout
from scripts.devservers import free_port
from scripts.devstack import Manifest
from tests.benchmarks import measure, processes

SETTLES: Final = 90.0
"""Seconds between the end of the story and the measurement."""
WITHIN: Final = 300.0
GOALS: Final = ("3 %", "900 MiB", "5 MB")
_DAY: Final = 86_400
_IS_UP: Final = "follow the strip"
_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER: PostgreSQL and Valkey leave their parent, and become ours


@dataclass
class Look:
    """What processes have used until now, by the name of each, and what their logs hold."""

    seconds: dict[str, float] = field(default_factory=dict)
    resident: dict[str, float] = field(default_factory=dict)
    shared_once: int = 0
    logged: int = 0


def look(root: int, names: dict[int, str], logs: Path) -> Look:
    """Look at all processes below one; what has ended counts for its parent."""
    found = Look()
    of: dict[int, str] = {}
    for pid in processes.family(root)[1:]:
        with contextlib.suppress(OSError):
            stat, here = Path(f"/proc/{pid}/stat").read_text(), Path(f"/proc/{pid}")
            fields = stat.rpartition(")")[2].split()
            own = stat.partition("(")[2].rpartition(")")[0]
            if named := names.get(pid) or of.get(int(fields[1])):
                of[pid] = named
            name = named or own
            pages = int((here / "statm").read_text().split()[1])
            found.seconds[name] = found.seconds.get(name, 0) + sum(map(int, fields[11:15])) / processes.TICKS
            found.resident[name] = found.resident.get(name, 0) + pages * os.sysconf("SC_PAGE_SIZE")
            rollup = (here / "smaps_rollup").read_text().splitlines()
            found.shared_once += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    found.logged = sum(log.stat().st_size for log in logs.glob("*.log"))
    return found


def report(before: Look, after: Look, seconds: float) -> None:
    """Print what was used meanwhile."""
    used = {name: 100 * (after.seconds[name] - before.seconds.get(name, 0)) / seconds for name in after.seconds}
    total = (
        f"{sum(used.values()):.1f} %",
        f"{sum(after.resident.values()) / 2**20:,.0f} MiB",
        f"{(after.logged - before.logged) / seconds * _DAY / 1e6:.1f} MB",
    )
    rows = [(name, f"{used[name]:.1f} %", f"{after.resident[name] / 2**20:,.0f} MiB", "") for name in sorted(used)]
    head = ("", "of one core", "resident", "log a day")
    measure.table(f"A world at rest, over {seconds:.0f} s", head, [*rows, ("all", *total), ("at most", *GOALS)])
    print(f"Pages that processes share counted once: {after.shared_once / 2**20:,.0f} MiB. The log is extrapolated.")


@contextlib.contextmanager
def _world(folder: Path) -> Iterator[None]:
    ports = {name: str(free_port()) for name in layout.PORTS}
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    command = [sys.executable, "-u", "-m", "scripts.demo"]
    environment = {**os.environ, **ports, "DEMO_FOLDER": str(folder)}
    with subprocess.Popen(command, cwd=processes.ROOT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        try:
            said = []
            assert demo.stdout
            for line in demo.stdout:
                said.append(line)
                if _IS_UP in line:
                    break
            else:
                raise processes.NotStartedError("".join(said)[-3000:])
            yield
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.communicate()


def run(scale: float) -> None:
    """Bring the demo's world up, let it come to rest, and measure."""
    root = os.getpid()
    with tempfile.TemporaryDirectory() as folder, _world(Path(folder)):
        logs = Path(folder) / "log"
        time.sleep(SETTLES * scale)
        names = {pid: name for name, (pid, _) in Manifest(Path(folder) / "run").read().items()}
        began, before = time.monotonic(), look(root, names, logs)
        time.sleep(max(WITHIN * scale, 5))
        report(before, look(root, names, logs), time.monotonic() - began)
