"""Acting on many things: one that fails does not block the others, and its error is raised at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def for_each[Thing, Result](things: Iterable[Thing], act: Callable[[Thing], Result]) -> list[Result]:
    """Act on each thing, in a transaction of its own if `act` opens one, and return the results.

    Raises an ExceptionGroup of the failures after the last one; the next sweep tries them again.
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
