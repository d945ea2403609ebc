"""Acting on many things of which one that fails stands in no other's way, and is not passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def each[Thing](things: Iterable[Thing], act: Callable[[Thing], object]) -> int:
    """Act on each, whatever becomes of the others; returns on how many. Each has a transaction of its own.

    Raises an ExceptionGroup of what went wrong, after the last: whoever runs it is told; the next sweep tries again.
    """
    wrong, done = list[Exception](), 0
    for thing in things:
        try:
            act(thing)
        except Exception as error:  # noqa: BLE001 - raised below, with the others
            error.add_note(f"at {thing}")
            wrong.append(error)
        else:
            done += 1
    if wrong:
        raise ExceptionGroup("some failed, and the others were done", wrong)
    return done
