"""What a change is that can be replayed: it changes the facts that a decision is made on, never the decision itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Protocol, Self

from django.db.models import QuerySet

from entitlements.access.caller import Caller
from entitlements.catalog.models import System
from entitlements.decisions.snapshot import AgentFacts
from entitlements.errors import DomainError


class ChangeMalformed(DomainError):
    """The change is malformed. Name a known kind and exactly its fields."""

    code, status = "change_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class Change(Protocol):
    """A change of what decisions are made on."""

    kind: ClassVar[str]

    @classmethod
    def read(cls, body: Mapping[str, Any], caller: Caller | None) -> Self:
        """Read a body, of what the caller sees; of anything where it was read before (None).

        Raises ChangeMalformed, NotFound, and what its fields raise.
        """
        ...

    def about(self) -> list[str]:
        """Return the links by which the audit log names what would change."""
        ...

    def calls(self) -> Collection[str] | None:
        """Return the links of which a recorded call that it can concern names one; None for every call."""
        ...

    def systems(self) -> QuerySet[System]:
        """Return the systems that it can concern."""
        ...

    def begins(self) -> float:
        """Return from when on it would be in force, in epoch seconds; minus infinity for at once."""
        ...

    def apply(self, facts: AgentFacts) -> AgentFacts:
        """Return the facts about one agent, at one system, with the change."""
        ...


def check_fields(body: Mapping[str, Any], needed: set[str], allowed: set[str]) -> None:
    """Check that a body has all fields that are needed, and no unknown ones. Raises ChangeMalformed."""
    if not needed <= body.keys() or body.keys() - needed - allowed:
        raise ChangeMalformed(needed=sorted(needed), allowed=sorted(allowed))
