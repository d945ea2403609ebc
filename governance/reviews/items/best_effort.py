"""Acting on many things of which one that fails stands in no other's way, and is not passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def for_each[Thing, Result](things: Iterable[Thing], act: Callable[[Thing], Result]) -> list[Result]:
    """Act on each, whatever becomes of the others, and return what came of it. Each has a transaction of its own.

    Raises an ExceptionGroup of what went wrong, after the last: whoever runs it is told; the next sweep tries again.
    """
    wrong, done = list[Exception](), list[Result]()
    for thing in things:
        try:
            done.append(act(thing))
        except Exception as error:  # noqa: BLE001 - raised below, with the others
            error.add_note(f"at {thing}")
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("some failed, and the others were done", wrong)
    return done
