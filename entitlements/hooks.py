"""What this floor asks of the floor above before a change, and tells it after one: declared here, filled at the start.

A hook names who has to answer. While one of them is missing, what asks is refused; the processes refuse to start.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from .errors import DomainError


class GuardMissing(DomainError):
    """A required check is not installed, so Mandate refuses this. The operator of Mandate must install the check."""

    code, status = "guard_missing", HTTPStatus.SERVICE_UNAVAILABLE


class Hook[**P, R]:
    """One question to the floor above. `needed` names the answers without which nothing passes."""

    def __init__(self, name: str, *needed: str) -> None:
        self.name = name
        self.needed = frozenset(needed)
        self._answers: dict[str, Callable[P, R]] = {}
        DECLARED.append(self)

    def register(self, name: str, answer: Callable[P, R]) -> None:
        """Install an answer, once, when the process starts."""
        self._answers[name] = answer

    def missing(self) -> list[str]:
        """Return the names of the needed answers that nothing installed."""
        return sorted(self.needed - self._answers.keys())

    def answers(self) -> list[Callable[P, R]]:
        """Return what is installed: for what follows a change, which a sweep makes up for."""
        return list(self._answers.values())

    def ask(self, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        """Ask everything that is installed. Raises GuardMissing when a needed answer is not, and what they raise."""
        if self.missing():
            raise GuardMissing(hook=self.name)
        return [answer(*args, **kwargs) for answer in self.answers()]


DECLARED: Final[list[Hook[..., Any]]] = []
"""Every hook of the product, in the order in which its modules were loaded."""


def missing() -> list[str]:
    """Return what is missing of every hook, as `hook: answer`; empty when nothing is."""
    return [f"{hook.name}: {name}" for hook in DECLARED for name in hook.missing()]


def require_all() -> None:
    """Refuse to start a process in which an answer is missing. Raises GuardMissing."""
    if lacking := missing():
        raise GuardMissing(f"These checks are not installed: {', '.join(lacking)}.")
