"""Who calls the API: a signed-in person, a script, or an agent. Each may do different things."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass, field
from typing import Final

from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person, Role
from entitlements.people.role_limits import EVERYTHING, NOTHING, RoleLimit

SEE_EVERYTHING: Final = frozenset({Role.ANALYST, Role.SECURITY, Role.RESPONDER, Role.AUDITOR, Role.ADMIN})
"""The roles to which nothing of the catalogue and of rights is hidden, within their limits."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `scopes` is None for a signed-in person, whose roles decide.

    `roles` are those held without a limit, `limited` the others with theirs. An agent never has the roles of the person
    it acts for, so both are empty wherever `scopes` is not None.
    """

    principal: Principal
    person: Person | None = None
    agent: Agent | None = None
    client: Client | None = None
    roles: frozenset[str] = field(default=frozenset())
    limited: tuple[tuple[str, RoleLimit], ...] = ()
    scopes: frozenset[str] | None = None
    on_behalf_of: Principal | None = None
    session: str = ""
    trace: str = ""
    """That of the sign-in behind the caller's token; empty for none."""

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
        """Whether the signed-in person has one of the roles, without a limit."""
        return bool(self.roles & set(roles))

    def reach(self, *roles: str) -> RoleLimit:
        """Return how far any of these roles of the signed-in person reaches."""
        if self.has(*roles):
            return EVERYTHING
        return functools.reduce(operator.or_, (limit for role, limit in self.limited if role in roles), NOTHING)

    @property
    def seen_reach(self) -> RoleLimit:
        """How far the caller sees by a role: everything, what is within their limits, or nothing."""
        return EVERYTHING if self.is_script else self.reach(*SEE_EVERYTHING)

    def __str__(self) -> str:
        return f"{self.principal} for {self.on_behalf_of}" if self.on_behalf_of else str(self.principal)


def of(person: Person) -> Caller:
    """Return the caller for a signed-in person, with their current roles."""
    held = [(assignment.role, assignment.limit) for assignment in person.roles.current().order_by("role")]
    return Caller(
        person.principal,
        person=person,
        roles=frozenset(role for role, limit in held if limit.everything),
        limited=tuple((role, limit) for role, limit in held if not limit.everything),
    )
