"""How a test waits: for a condition, and with one bound for all, which is reached only where something is broken."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import time
from collections.abc import Callable
from typing import Any, Final

SECONDS: Final = 60.0
"""The bound of whatever a test waits for: a process, a thread, an answer. Less than what ends a test."""
A_TRY: Final = 2.0
"""The bound of one question of many, which is asked again until it is answered."""
MOMENT: Final = 0.3
"""How long a test looks on where something must not happen. A busy machine makes that pass, never fail."""


def until[T](is_so: Callable[[], T], child: subprocess.Popen[Any] | None = None) -> T:
    """Return as soon as it is so, what it says; fail with the condition where it never is, or the child ended."""
    end, pause = time.monotonic() + SECONDS, 0.001
    while not (said := is_so()):
        assert child is None or child.poll() is None, f"{child.args!r} ended with {child.returncode}"
        assert time.monotonic() < end, _never(is_so)
        time.sleep(pause := min(2 * pause, 0.02))
    return said


async def until_so(is_so: Callable[[], object]) -> None:
    """Return as soon as it is so, as `until`, and let others run meanwhile."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, _never(is_so)
        await asyncio.sleep(0.005)


def _never(is_so: Callable[[], object]) -> str:
    try:
        told = inspect.getsource(is_so).strip()
    except (OSError, TypeError):
        told = repr(is_so)
    return f"It did not come about within {SECONDS:.0f} seconds: {told}"


def stop(child: subprocess.Popen[Any]) -> None:
    """End a process: ask it first, and kill it where it does not end by itself."""
    child.terminate()
    try:
        child.wait(SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
