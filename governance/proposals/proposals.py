"""Changes that need two people: one proposes, another confirms, or the proposal is dropped; each once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet

from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound, ReasonRequired
from entitlements.people.models import Person


def check(by: Person, reason: str, roles: Collection[str]) -> None:
    """Check that the person has one of the roles and gives a reason. Raises Forbidden, ReasonRequired."""
    if not by.has_role(*roles):
        raise Forbidden
    if not reason.strip():
        raise ReasonRequired


@dataclass(frozen=True, slots=True)
class TwoPersonProposal[M: Model]:
    """How one kind of proposal is read, locked, refused and withdrawn, and which roles may propose it."""

    rows: Callable[[], QuerySet[M]]
    alone: Callable[[M], None]
    over: type[DomainError]
    may: Collection[str]
    withdraw: Callable[..., object]
    own: type[DomainError]

    def held(self, key: UUID, state: str) -> M:
        """Hold one alone that is in this state still. Raises NotFound, and `over` with the state it is in."""
        rows = self.rows().filter(pk=key)
        if (known := rows.first()) is None:
            raise NotFound
        self.alone(known)
        row: Any = rows.get()
        if row.state != state:
            raise self.over(state=row.state)
        return row  # type: ignore[no-any-return]  # it is an M

    def second(self, row: Any, by: Person) -> None:  # noqa: ANN401 - an M, which says who proposed it
        """Check that another person, by any account, proposed it, and still could. Raises `own`, ProposerGone."""
        lapse = partial(self.withdraw, row.pk)
        independence.check_second(
            row.proposed_by, by, still_may=lambda who: who.has_role(*self.may), own=self.own, lapse=lapse
        )
