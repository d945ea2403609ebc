"""One row of the work queue: what it is about, until when, and the decision that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.urls import reverse

_RISKS: Final = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Choice:
    """A button of a row: the field that it sends, its word, whether it needs a reason, and the place of a ticket."""

    name: str
    value: str
    label: Any
    reason: bool = True
    tone: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that is simple enough for the row: where its form goes, its fixed fields, its buttons."""

    address: str
    choices: tuple[Choice, ...]
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class QueueRow:
    """What a person must do: its kind, a title that leads to its page, and the word for what is done there."""

    kind: Any
    title: str
    address: str
    act: Any = ""
    due: datetime | None = None
    detail: str = ""
    risk: str = ""
    decision: Decision | None = None
    may_wait: bool = False
    """Whether no other person waits for it, as for access that the person may renew."""

    def weight(self) -> tuple[bool, str, int, str]:
        """Return what orders the queue: rows with a date first, by day; of one day the highest risk level first."""
        day = self.due.date().isoformat() if self.due else ""
        rank = _RISKS.index(self.risk) if self.risk in _RISKS else -1
        return self.due is None, day, -rank, self.due.isoformat() if self.due else ""


def page(name: str, *args: object, query: str = "") -> str:
    """Return the address of a page by its name."""
    return reverse(name, args=args) + query
