"""The one clock. Tests move `clock.now`; always call it through the module.

Time is the local monotonic clock plus its offset to the database's clock, so that a wall clock set back does not bring
an ended grant to life. A process that has not measured the offset (a command) reads its wall clock; one that called
`require_measured` (web, gateway, worker) is refused an answer instead.
"""

import time
from datetime import UTC, datetime
from typing import Final

MAX_SKEW: Final = 1.0
"""Seconds by which the wall clock may differ from the database's before a strict process refuses to tell the time."""


class ClockUnknown(RuntimeError):
    """The offset to the database's clock is not known, or the local clock is too far from it."""

    code = "clock_unknown"


class _State:
    offset: float | None = None
    """Database time minus local monotonic time, in seconds."""
    measured: float = 0.0
    strict: bool = False


_state = _State()


def now() -> datetime:
    """Say what time it is: aware, UTC. Raises ClockUnknown in a strict process whose offset is unknown or skewed."""
    wall = time.time()
    if _state.offset is None:
        if _state.strict:
            raise ClockUnknown
        return datetime.fromtimestamp(wall, UTC)
    moment = time.monotonic() + _state.offset
    if _state.strict and abs(moment - wall) > MAX_SKEW:
        raise ClockUnknown
    return datetime.fromtimestamp(moment, UTC)


def set_offset(database_now: datetime) -> None:
    """Take the database's reading of now as the truth. Called after each poll of the change feed."""
    _state.measured = time.monotonic()
    _state.offset = database_now.timestamp() - _state.measured


def offset() -> float:
    """Return database time less local monotonic time, in seconds. Raises ClockUnknown before it was measured."""
    if _state.offset is None:
        raise ClockUnknown
    return _state.offset


def adopt_offset(seconds: float) -> None:
    """Take the offset that another process of this machine has just measured: all share its monotonic clock."""
    _state.offset, _state.measured = seconds, time.monotonic()


def offset_age() -> float:
    """Seconds since the offset was measured; infinite when it never was."""
    return float("inf") if _state.offset is None else time.monotonic() - _state.measured


def require_measured() -> None:
    """From now on refuse to tell the time without a measured offset. For what serves, at its start."""
    _state.strict = True


def is_strict() -> bool:
    """Whether this process called `require_measured`."""
    return _state.strict


def is_known() -> bool:
    """Whether `now` would answer."""
    try:
        now()
    except ClockUnknown:
        return False
    return True


def forget() -> None:
    """Return to the wall clock. For the end of a strict process, and for tests."""
    _state.offset, _state.measured, _state.strict = None, 0.0, False
