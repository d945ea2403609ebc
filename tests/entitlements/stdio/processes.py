"""Which processes live, found from outside: a child in a namespace of its own knows its number there alone."""

from __future__ import annotations

import contextlib
from pathlib import Path


def having(variable: str) -> list[int]:
    """Return every process that was started with this variable in its environment, written NAME=value."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
