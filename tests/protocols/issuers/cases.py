"""One case: a valid request, what is changed in it, and what became of the world before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .bases import Base
from .drafts import Change, Draft
from .lanes import Request
from .scenes import Scene


@dataclass(frozen=True)
class Case:
    """What is sent, in which state of the world, and how often; the last answer is the one that is recorded.

    `family` is the first word group of its name: cases of a family are made by one function.
    """

    family: str
    what: str
    base: Base | None
    changes: tuple[Change, ...] = ()
    state: str = ""
    times: int = 1

    @property
    def name(self) -> str:
        """How the record calls it; no two cases have the same."""
        return f"{self.family}: {self.what}"

    def request(self, scene: Scene) -> Request:
        """Write the request out, with what it needs in the database."""
        draft = self.base.draft(scene) if self.base is not None else Draft(scene, "/", "GET", headers=[])
        for change in self.changes:
            change(draft)
        return draft.request()


def of(family: str, base: Base, changes: Iterable[tuple[str, Change]], state: str = "") -> Iterator[Case]:
    """Yield a case for each named change of a base."""
    for what, change in changes:
        yield Case(family, f"{base.name}, {what}", base, (change,), state)
