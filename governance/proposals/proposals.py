"""The one shape of what two people put in force: one proposes it, another confirms it, or it is dropped; each once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.people.models import Person


def check(by: Person, reason: str, roles: Collection[str]) -> None:
    """Go on only for whoever has one of the roles and says why. Raises Forbidden, ReasonRequired."""
    if not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


@dataclass(frozen=True, slots=True)
class Proposed[M: Model]:
    """How one kind is found, held alone, and refused: when it waits no longer, and by whoever proposed it."""

    rows: Callable[[], QuerySet[M]]
    alone: Callable[[M], None]
    over: type[DomainError]
    own: type[DomainError]

    def held(self, key: UUID, state: str) -> M:
        """Hold one alone that is in this state still. Raises NotFound, and `over` with the state it is in."""
        rows = self.rows().filter(pk=key)
        if (known := rows.first()) is None:
            raise NotFound
        self.alone(known)
        found: Any = rows.get()
        if found.state != state:
            raise self.over(state=found.state)
        return found  # type: ignore[no-any-return]  # it is an M

    def second(self, found: Any, by: Person) -> None:  # noqa: ANN401 - an M, which says who proposed it
        """Go on only as somebody else than who proposed it, by no account of theirs. Raises `own`."""
        if independence.same_human(found.proposed_by, by):
            raise self.own
