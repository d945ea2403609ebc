"""What pages show of credentials of agents' clients that wait for acceptance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from audit import clock
from audit.context import Principal
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.clients import credentials
from entitlements.clients.models import ClientCredential
from entitlements.people.models import Person


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: what it calls itself, and its thumbprint (RFC 7638), empty for one that cannot be read."""

    kid: str
    thumbprint: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A credential with the name of who asked for it, and of who may accept it now."""

    credential: ClientCredential
    asker: str
    acceptors: list[Person]
    keys: list[Key]


def of_agent(caller: Caller, agent: Agent) -> list[Shown]:
    """Return the credentials of an agent's clients that wait, the most urgent first."""
    rows = visibility.client_credentials(caller).filter(agent=agent, state=ClientCredential.State.WAITING)
    return [described(credential) for credential in rows.filter(answer_by__gt=clock.now()).order_by("answer_by")]


def described(credential: ClientCredential) -> Shown:
    """Return what a page shows of a credential."""
    acceptors = credentials.acceptors(credential.agent, credential.askers) if credential.is_open else []
    keys = [_key(key) for key in credential.jwks.get("keys", [])]
    return Shown(credential, _name(credential.asked_by), acceptors, keys)


def _name(principal: str) -> str:
    asker = Principal.parse(principal)
    person = Person.objects.filter(login=asker.name).first() if asker.kind == "person" else None
    return person.name if person else principal


def _key(key: dict[str, Any]) -> Key:
    try:
        thumbprint = JWKRegistry.import_key(key).thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        thumbprint = ""
    return Key(str(key.get("kid") or key.get("kty") or "?"), thumbprint)
