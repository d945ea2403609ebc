"""What /proc says of processes: who started whom, and how much memory they hold."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
KIB = 1024
ROUNDS, PAUSE = 400, 0.01
"""How often the end of a tree is looked for, and the seconds between."""


def count_of_user(uid: int) -> int:
    """Return how many processes and threads this user has: what the kernel's own limit counts."""
    return sum(_threads(process) for process in _all() if _field(process, "Uid") == uid)


def descendants(of: int) -> list[int]:
    """Return every living process below this one."""
    parents = {process: _parent(process) for process in _all()}
    found: list[int] = []
    wanted = {of}
    while below := [process for process, parent in parents.items() if parent in wanted and process not in found]:
        found += below
        wanted = set(below)
    return found


def memory(of: list[int]) -> int:
    """Return the bytes that these processes hold: their own and shared memory, and what was swapped out."""
    return sum(_field(each, name) for each in of for name in ("RssAnon", "RssShmem", "VmSwap")) * KIB


def end_all_below(process: int) -> bool:
    """End every process below this one, which adopts orphans. Returns whether none is left."""
    for _ in range(ROUNDS):
        below = descendants(process)
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: what forks in a loop stands still
            for each in below:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(each, number)
        _reap()
        if not descendants(process):
            return True
        time.sleep(PAUSE)
    return False


def folder_size(folder: str, *, most_entries: int) -> int | None:
    """Return the bytes on disk below a folder; None when it has more entries than can be counted."""
    total = entries = 0
    for place, folders, files in os.walk(folder):
        entries += len(folders) + len(files)
        if entries > most_entries:
            return None
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118 - many, each quarter second
    return total


def _all() -> Iterator[int]:
    return (int(name) for name in os.listdir(PROC) if name.isdecimal())  # noqa: PTH208 - a number is wanted


def _parent(process: int) -> int:
    try:
        state, parent = (PROC / str(process) / "stat").read_bytes().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state in b"ZX" else int(parent)


def _threads(process: int) -> int:
    return _field(process, "Threads")


def _field(process: int, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(process) / "status").read_text(errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
