"""The action that each kind of target is stopped by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.db.models import Model

from audit.context import Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.errors import NotFound
from entitlements.grants import grants
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.revocation.targets import PERSON_AGENTS, SIGN_INS, agents_of
from entitlements.sessions import sessions
from entitlements.token_families import families, person_sign_ins
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens import tokens


def _grant(key: str, by: Principal, reason: str) -> None:
    grants.revoke(_uuid(key), by=by, reason=reason)


def _session(key: str, by: Principal, reason: str) -> None:
    sessions.end(_uuid(key), by=by, reason=reason)


def _token(key: str, by: Principal, reason: str) -> None:
    tokens.revoke(_uuid(key), by=by, reason=reason)


def _token_family(key: str, by: Principal, reason: str) -> None:
    families.revoke(_uuid(key), by=by, reason=reason)


def _sign_ins(key: str, by: Principal, reason: str) -> None:
    person_sign_ins.end(PersonClient.named(key), by=by, reason=reason)


def _agent(key: str, by: Principal, reason: str) -> None:
    agents.suspend(_get(Agent, slug=key), by=by, reason=reason)


def _person(key: str, by: Principal, reason: str) -> None:
    people.disable(_get(Person, login=key), by=by, reason=reason)


def _person_agents(key: str, by: Principal, reason: str) -> None:
    """Suspend the agents, then disable the person: locks are taken in this order."""
    person = _get(Person, login=key)
    agents.suspend_all(Agent.objects.filter(agents_of(key)), by=by, reason=reason, limit=None)
    people.disable(person, by=by, reason=reason)


def _client(key: str, by: Principal, reason: str) -> None:
    clients.disable(_get(Client, client_id=key), by=by, reason=reason)


def _system(key: str, by: Principal, reason: str) -> None:
    systems.disable_system(_get(System, slug=key), by=by, reason=reason)


def _tool(key: str, by: Principal, reason: str) -> None:
    system, _, name = key.partition("/")
    tools.disable_tool(_get(Tool, system__slug=system, name=name), by=by, reason=reason)


def _everything(_key: str, by: Principal, reason: str) -> None:
    guardrails.stop_everything(by=by, reason=reason)


VERBS: Final[dict[str, Callable[[str, Principal, str], None]]] = {
    "grant": _grant,
    "session": _session,
    "token": _token,
    "token_family": _token_family,
    SIGN_INS: _sign_ins,
    "tool": _tool,
    "system": _system,
    "client": _client,
    "agent": _agent,
    "person": _person,
    PERSON_AGENTS: _person_agents,
    "everything": _everything,
}


def _get[M: Model](model: type[M], **key: str) -> M:
    row = model._default_manager.filter(**key).first()  # noqa: SLF001 - the public name differs by model
    if row is None:
        raise NotFound
    return row


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error
