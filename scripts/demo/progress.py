"""How the demo waits: as long as something moves, however slow the machine is, and it says what for and how long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STILL_SECONDS = 120.0
"""A wait ends when nothing has moved for so long."""
MOST_SECONDS = 1200.0
"""A wait ends after so long even where something moves: it may be something else."""
SAY_SECONDS = 10.0
PAUSE_SECONDS = 0.1


class Stalled(Exception):
    """The demo waited until nothing moved any more; the message says what for."""


def wait[T](what: str, found: Callable[[], T | None], moves: Callable[[], object] = lambda: None) -> T:
    """Return what `found` finds, as soon as it is not None. `moves` returns another value whenever something moved.

    Raises Stalled when nothing has moved for STILL_SECONDS.
    """
    began = moved = said = time.monotonic()
    last = moves()
    while (seen := found()) is None:
        time.sleep(PAUSE_SECONDS)
        now, state = time.monotonic(), moves()
        if state != last:
            moved, last = now, state
        if now - moved > STILL_SECONDS or now - began > MOST_SECONDS:
            still = f"nothing moved for {now - moved:.0f} s" if now - moved > STILL_SECONDS else "it does not come"
            raise Stalled(f"{what} was waited for {now - began:.0f} s, and {still}")
        if now - said > SAY_SECONDS:
            said = now
            print(f"\n    waiting for {what}: {now - began:.0f} s", end="", flush=True)
    return seen


def size(logs: Path) -> int:
    """Return how many bytes the logs have together: they grow while something works."""
    total = 0
    for log in logs.glob("*.log"):
        with contextlib.suppress(OSError):
            total += log.stat().st_size
    return total


def work(pid: int) -> int:
    """Return for how long a process and its children have worked, in ticks; where the system does not tell, 0."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return sum(map(int, ticks)) + sum(work(int(child)) for child in children)


@contextlib.contextmanager
def part(what: str) -> Iterator[None]:
    """Print what is being done and how long it took."""
    print(f"{what} ...", end="", flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - began:.1f} s", flush=True)
