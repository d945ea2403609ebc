"""What can be stopped, by kind and id."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.db.models import Model, Q

from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.errors import DomainError, NotFound
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.strict import known_uuid
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.person_sign_ins import PersonClient
from entitlements.tokens.models import IssuedToken

SIGN_INS: Final = "sign_ins"
"""The kind of target that is all sign-ins of a person at clients, or at one client."""
PERSON_AGENTS: Final = "person_agents"
"""The kind of target that is a person with every agent that they sponsor or technically own, personal agents too."""

_BY_KEY: Final[dict[str, type[Model]]] = {
    "grant": Grant,
    "session": Session,
    "token": IssuedToken,
    "token_family": TokenFamily,
}
_BY_NAME: Final[dict[str, tuple[type[Model], str]]] = {
    "system": (System, "slug"),
    "client": (Client, "client_id"),
    "agent": (Agent, "slug"),
    "person": (Person, "login"),
    PERSON_AGENTS: (Person, "login"),
}


class EverythingNotNamed(DomainError):
    """To use the kill switch, write the word "everything" as the target's id."""

    code, status = "everything_not_named", HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Target:
    """What to stop: `type` is one of VERBS; `id` is a slug, login, client identifier, uuid, or `system/tool`.

    The id of everything is that word; that of sign-ins is whose they are: `login`, or `login/client identifier`.
    Raises EverythingNotNamed.
    """

    type: str
    id: str

    def __post_init__(self) -> None:
        """Refuse a stop of everything whose id says something else."""
        if self.type == guardrails.EVERYTHING and self.id != guardrails.EVERYTHING:
            raise EverythingNotNamed

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"

    @property
    def links(self) -> list[str]:
        """What the audit log names it by: the person of their sign-ins and of their agents; nothing for everything."""
        if self.type == SIGN_INS:
            whose = PersonClient.named(self.id)
            return [f"person:{whose.login}", *([f"client:{whose.client_id}"] if whose.client_id else [])]
        if self.type == PERSON_AGENTS:
            return [f"person:{self.id}"]
        return [] if self.type == guardrails.EVERYTHING else [str(self)]

    def find(self) -> Any:  # noqa: ANN401 - any row that can be stopped
        """Return its row, the person of sign-ins, None for everything. Raises NotFound."""
        if self.type == guardrails.EVERYTHING:
            return None
        if self.type in _BY_KEY:
            return _row(_BY_KEY[self.type], pk=known_uuid(self.id))
        if self.type == "tool":
            system, _, name = self.id.partition("/")
            return _row(Tool, system__slug=system, name=name)
        if self.type == SIGN_INS:
            return _row(Person, login=PersonClient.named(self.id).login)
        model, column = _BY_NAME[self.type]
        return _row(model, **{column: self.id})


def agents_of(login: str) -> Q:
    """Select the agents that are stopped with a person: those that they sponsor, personal ones too, and own.

    A backup owner acts for an agent only when asked to, so the agents that a person backs up go on.
    """
    return Q(sponsor__login=login) | Q(owner__login=login)


def _row(model: type[Model], **key: object) -> Any:  # noqa: ANN401 - any row that can be stopped
    row = model._default_manager.filter(**key).first()  # noqa: SLF001 - the public name differs by model
    if row is None:
        raise NotFound
    return row
