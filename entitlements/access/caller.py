"""Who calls the API: a signed-in person, a script, or an agent. Each may do different things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person, Role

SEE_EVERYTHING: Final = frozenset({Role.ANALYST, Role.SECURITY, Role.RESPONDER, Role.AUDITOR, Role.ADMIN})
"""The roles to which nothing of the catalogue and of rights is hidden."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `scopes` is None for a signed-in person, whose roles decide.

    An agent never has the roles of the person it acts for, so `roles` is empty wherever `scopes` is not None.
    """

    principal: Principal
    person: Person | None = None
    agent: Agent | None = None
    client: Client | None = None
    roles: frozenset[str] = field(default=frozenset())
    scopes: frozenset[str] | None = None
    on_behalf_of: Principal | None = None
    session: str = ""

    @property
    def is_authenticated(self) -> bool:
        """The word by which the framework tells a caller from a stranger."""
        return True

    @property
    def pk(self) -> str:
        """The name under which requests are counted."""
        return str(self)

    @property
    def human(self) -> Person | None:
        """The signed-in person; None for scripts and agents, for whomever they act."""
        return self.person if self.scopes is None else None

    @property
    def is_script(self) -> bool:
        """Whether this is a client without an agent: a script of the platform."""
        return self.scopes is not None and self.agent is None

    @property
    def sees_everything(self) -> bool:
        """Whether nothing of the catalogue and of rights is hidden from the caller."""
        return self.is_script or bool(self.roles & SEE_EVERYTHING)

    def has(self, *roles: str) -> bool:
        """Whether the signed-in person has one of the roles."""
        return bool(self.roles & set(roles))

    def __str__(self) -> str:
        return f"{self.principal} for {self.on_behalf_of}" if self.on_behalf_of else str(self.principal)


def of(person: Person) -> Caller:
    """Return the caller for a signed-in person, with their current roles."""
    return Caller(
        person.principal, person=person, roles=frozenset(person.roles.current().values_list("role", flat=True))
    )
