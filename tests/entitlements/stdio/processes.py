"""Which processes live, found from outside: a child in a namespace of its own knows its number there alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def having(variable: str) -> list[int]:
    """Return every process that was started with this variable in its environment, written NAME=value."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdecimal() and variable.encode() in (Path("/proc") / name / "environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return found
