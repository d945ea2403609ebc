"""What a caller is to a thing: its sponsor, its owner, itself. Roles hold everywhere, relations for one thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.client_documents.models import ClientHost
from entitlements.clients.models import Client, ClientCredential
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.connections.models import Connection
from entitlements.grants.models import Grant
from entitlements.people.models import Group, Person
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken

from .caller import Caller


def of(caller: Caller, thing: object) -> frozenset[str]:
    """Return the relations of the caller to a row: sponsor, owner, backup, itself, system_owner, person, themselves.

    A confirmer is a platform admin or security approver, of a host that is for personal agents.
    """
    if caller.agent is not None:
        return frozenset({"itself"} if _agent_of(thing) == caller.agent.pk else ())
    if caller.human is None:
        return frozenset()
    return frozenset(_named(caller.human, thing))


def _named(person: Person, thing: Any) -> Iterable[str]:  # noqa: ANN401, PLR0911 - a table over any row
    match thing:
        case Person():
            return ["themselves"] if thing.pk == person.pk else []
        case System():
            return ["system_owner"] if thing.owner_id == person.pk else []
        case Tool() | Entitlement():
            return _named(person, thing.system)
        case Agent():
            held = {"sponsor": thing.sponsor_id, "owner": thing.owner_id, "backup": thing.backup_id}
            return [name for name, holder in held.items() if holder == person.pk]
        case Grant():
            return [*_named(person, thing.agent), *_named(person, thing.entitlement.system)]
        case Client() | ClientCredential() | ClientHost():
            return _named(person, thing.agent) if thing.agent else _without_agent(person, thing)
        case Session() | Connection():
            return [*_named(person, thing.agent), *(["person"] if thing.person_id == person.pk else [])]
        case IssuedToken() | TokenFamily() | ConnectedAccount():
            own, agent = ["person"] if thing.person_id == person.pk else [], getattr(thing, "agent", None)
            return [*own, *_named(person, thing.system), *(_named(person, agent) if agent else [])]
        case Group():
            return []
    return []


def _without_agent(person: Person, thing: object) -> Iterable[str]:
    is_confirmer = isinstance(thing, ClientHost) and person.has_role(*ClientHost.CONFIRMERS)
    return ["confirmer"] if is_confirmer else []


def _agent_of(thing: object) -> int | None:
    match thing:
        case Agent():
            return thing.pk
        case Grant() | Session() | Connection() | IssuedToken() | TokenFamily() | Client() | ClientCredential():
            return thing.agent_id
    return None
