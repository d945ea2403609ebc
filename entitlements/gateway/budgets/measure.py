"""How what a system answers is measured before it is passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

type ReadAnswer = Callable[[], object]
"""Returns the structured content of an answer: None of a failure, which has no rows."""


class Measure(Protocol):
    """Looks at what is about to be passed on."""

    def __call__(self, size: int, read: ReadAnswer | None) -> None:
        """Take its size in bytes, and how to read it where it is the answer. Its refusal keeps it back."""


def unmeasured(size: int, read: ReadAnswer | None) -> None:
    """Let pass whatever comes: no budget is about answers."""
