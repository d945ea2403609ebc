"""How what a system answers is measured before it is passed on."""

from __future__ import annotations

from collections.abc import Callable

type ReadAnswer = Callable[[], object]
"""Returns the structured content of an answer: None of a failure, which has no rows."""
type Measure = Callable[[int, ReadAnswer | None], None]
"""Takes the size of what is about to be passed on, in bytes, and how to read it where it is the answer."""


def unmeasured(size: int, read: ReadAnswer | None) -> None:
    """Let pass whatever comes: no budget is about answers."""
