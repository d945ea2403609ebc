"""The ticket reference of what suspends or revokes: asked for in one place, whichever door it comes through."""

from __future__ import annotations

from typing import Any, Final

from entitlements.hooks import Hook
from entitlements.people.models import Person

TICKET: Final[Hook[[str, str], str | None]] = Hook("take a ticket reference", "tickets")
"""Answers what to keep, for a kind of target and the reference that was given: empty for none, and None where the
settings ask for none. Raises DomainError for a refused one."""
_CONNECTED: Final = frozenset({"session", "token", "token_family", "connection", "connected_account", "sign_ins"})
"""Kinds of targets that are connected as a person."""


def given(kind: str, thing: Any, person: Person | None, ticket: str) -> str | None:  # noqa: ANN401 - any row that can be stopped
    """Return the reference as it was given; None where a person ends what is connected as themselves, and gives none.

    A person who suspects that others act as them waits for no ticket.
    """
    whose = thing.pk if isinstance(thing, Person) else getattr(thing, "person_id", None)
    is_own = kind in _CONNECTED and person is not None and person.pk == whose
    return None if is_own and not ticket.strip() else ticket


def check(kind: str, ticket: str | None) -> str | None:
    """Return the reference to keep with what suspends or revokes a target of a kind. Raises as TICKET does."""
    return None if ticket is None else TICKET.ask(kind, ticket)[0]
