"""Who accepts a credential of an agent's client: one of the agent's sponsor, technical owner and backup owner.

When one of them asks for it, it is accepted at once. Otherwise it waits, and opens nothing until one of them accepts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from audit import clock
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import Client, ClientCredential
from entitlements.conflicts import independence
from entitlements.credential_policy import policy
from entitlements.errors import DomainError
from entitlements.people.models import Person

TO_ANSWER: Final = timedelta(days=14)
"""How long a credential waits for acceptance before it lapses."""

State = ClientCredential.State
CREDENTIAL_COLUMNS: Final = (
    *("secret_sha256", "jwks", "credential_made_at"),
    *("previous_secret_sha256", "previous_jwks", "previous_made_at", "previous_ends_at"),
)
"""The columns of a client that hold its newest credential and the one before."""


class NoAcceptor(DomainError):
    """Nothing changed: no active sponsor or owner of the agent can accept a credential. Name one, then try again."""

    code, status = "credential_has_no_acceptor", HTTPStatus.CONFLICT


def responsible(agent: Agent) -> list[Person]:
    """Return the active people who are responsible for an agent: sponsor, technical owner, backup owner."""
    offices = (agent.sponsor, agent.owner, agent.backup)
    return list({person.pk: person for person in offices if person is not None and person.is_active}.values())


def acceptors(agent: Agent, askers: Iterable[str]) -> list[Person]:
    """Return who may accept what these people (by login) asked for: no second account of one of them."""
    asking = list(Person.objects.filter(login__in=list(askers)))
    return [person for person in responsible(agent) if not is_other_account(person, asking)]


def is_other_account(person: Person, askers: Iterable[Person]) -> bool:
    """Whether a person is the same human as one of the askers, with another account."""
    return any(person != asker and independence.same_human(person, asker) for asker in askers)


def ask(wanted: ClientCredential, *, by: Principal) -> ClientCredential:
    """Save a credential: accepted when `by` is responsible for the agent, else waiting. Replaces one that waits.

    The caller holds the agent and the client's identifier. Raises NoAcceptor.
    """
    agent = Agent.objects.select_related("sponsor", "owner", "backup").get(pk=wanted.agent_id)
    now = clock.now()
    wanted.asked_by, wanted.askers = str(by), sorted(independence.behind(by))
    wanted.asked_at, wanted.answer_by = now, now + TO_ANSWER
    asker = next((person for person in responsible(agent) if person.principal == by), None)
    if asker is None and not acceptors(agent, wanted.askers):
        raise NoAcceptor(agent=agent.slug)
    waiting = ClientCredential.objects.filter(client_id=wanted.client_id, state=State.WAITING)
    waiting.update(state=State.REPLACED, answered_by=str(by), answered_at=now)
    if asker is not None:
        accept(wanted, asker)
    wanted.save(force_insert=True)
    return wanted


def accept(credential: ClientCredential, acceptor: Person) -> None:
    """Write into a credential, unsaved, that this person accepts it."""
    credential.state, credential.acceptor = State.ACCEPTED, acceptor
    credential.answered_by, credential.answered_at = str(acceptor.principal), clock.now()


def about(credential: ClientCredential) -> list[str]:
    """Return the links by which the record of a credential is found again."""
    return [f"client:{credential.client_id}", f"agent:{credential.agent.slug}"]


def detail(credential: ClientCredential) -> dict[str, Any]:
    """Say of a credential what events about it hold."""
    return {
        "proposal": str(credential.pk),
        "purpose": credential.purpose,
        "auth": credential.auth,
        "api_scopes": list(credential.api_scopes),
        "asked_by": credential.asked_by,
    }


def new_for(client: Client, purpose: str, *, reason: str, keep_previous: bool) -> ClientCredential:
    """Return another credential for a client, unsaved and without its secret or keys: with all else that it has."""
    return ClientCredential(
        agent=client.agent,
        client_id=client.client_id,
        purpose=purpose,
        name=client.name,
        auth=client.auth,
        redirect_uris=client.redirect_uris,
        api_scopes=client.api_scopes,
        reason=reason,
        keeps_previous=keep_previous,
    )


def replace(client: Client, wanted: ClientCredential) -> list[str]:
    """Let a client, unsaved, hold another credential; returns the columns that changed. Its age counts from its making.

    The one before works on until the end of the overlap where the new one keeps it, and else no longer.
    """
    now = clock.now()
    forget_previous(client)
    if wanted.keeps_previous:
        client.previous_secret_sha256, client.previous_jwks = client.secret_sha256, client.jwks
        client.previous_made_at = client.credential_made_at
        client.previous_ends_at = now + policy.current().overlap
    client.secret_sha256, client.jwks = wanted.secret_sha256, wanted.jwks
    client.credential_made_at = wanted.asked_at if wanted.agent_id else now
    return [*CREDENTIAL_COLUMNS, "updated"]


def forget_previous(client: Client) -> None:
    """Let a client, unsaved, hold its newest credential alone."""
    client.previous_secret_sha256, client.previous_jwks = "", {}
    client.previous_made_at = client.previous_ends_at = None


def changed(held: Client, wanted: ClientCredential) -> list[str]:
    """Name what a credential changes of how its client proves itself: `keys`, where none stays, and `redirect_uris`."""
    before, now = ({json.dumps(key, sort_keys=True) for key in each.jwks.get("keys", [])} for each in (held, wanted))
    is_other_key = held.auth != wanted.auth or bool(before and not before & now)
    is_sent_elsewhere = bool(set(wanted.redirect_uris.split()) - set(held.redirect_uris.split()))
    return [*(["keys"] if is_other_key else []), *(["redirect_uris"] if is_sent_elsewhere else [])]
