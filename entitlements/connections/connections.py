"""Actions on connections: begin one with an agent, end one with all that came of it."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.connections.models import Connection
from entitlements.errors import DomainError, NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken

_LEEWAY: Final = timedelta(minutes=1)
"""How long after its end a token is still taken for one that may live."""


class ConnectionEnded(DomainError):
    """The connection has already ended. The person can sign in at the client again."""

    code, status = "connection_ended", HTTPStatus.CONFLICT


def latest(client: Client, person: Person) -> Connection | None:
    """Return the last connection of a person at a client, open or ended; None before the first."""
    rows = Connection.objects.select_related("agent", "client", "person").filter(client=client, person=person)
    return rows.order_by("ended_at", "began_at").last()  # one that is open sorts last


def clients_of(agent: Agent) -> QuerySet[Client]:
    """Return the clients that act through an agent: its own, and the one of its open connection."""
    at = Connection.objects.filter(agent=agent, ended_at=None).values("client")
    return Client.objects.filter(Q(agent=agent) | Q(pk__in=at))


def begin(client: Client, person: Person, agent: Agent, *, is_new: bool, by: Principal) -> Connection:
    """Let a client act for a person through an agent, in the running transaction, which shares the agent's lock.

    `is_new` says that the agent was registered for this connection. The database refuses a second open one. It takes
    nothing away, so the change feed need not name it: a node that knows of none looks again before it refuses.
    """
    connection = Connection.objects.create(client=client, person=person, agent=agent, began_at=clock.now())
    detail = {"agent_registered": is_new, "name_is_claimed": client.name_is_claimed}
    log.record(Action.CONNECTION_BEGUN, about=_about(connection), by=by, detail=detail)
    return connection


@transaction.atomic
def end(connection_id: UUID, *, by: Principal, reason: str) -> Connection:
    """End a connection at once: its sign-ins, sessions, codes and tokens. The agent keeps what it holds.

    Raises NotFound, ConnectionEnded.
    """
    named = Connection.objects.filter(pk=connection_id).values_list("agent_id", flat=True).first()
    if named is None:
        raise NotFound
    locks.exclusive((Lock.AGENT, named))  # who issues a token through the connection shares it
    connection = Connection.objects.select_related("agent", "client", "person").get(pk=connection_id)
    if connection.ended_at is not None:
        raise ConnectionEnded
    _end(connection, by=by, reason=reason)
    return connection


def end_of_agent(agent: Agent, *, by: Principal, reason: str) -> None:
    """End the open connection of an agent, if it has one, in the running transaction, which holds the agent's lock."""
    rows = Connection.objects.select_related("agent", "client", "person")
    if (connection := rows.filter(agent=agent, ended_at=None).first()) is not None:
        _end(connection, by=by, reason=reason)


def _end(connection: Connection, *, by: Principal, reason: str) -> None:
    now, changed = clock.now(), subjects.agent(connection.agent_id)
    connection.ended_at, connection.end_reason = now, reason
    connection.save(update_fields=["ended_at", "end_reason"])
    client, person, agent = connection.client, connection.person, connection.agent
    AuthorizationCode.objects.filter(application=client, user=person, system__isnull=False).delete()
    tokens = IssuedToken.objects.filter(client=client, person=person, agent=agent, revoked_at=None)
    tokens.filter(expires_at__gt=now - _LEEWAY).update(revoked_at=now, revoke_reason=reason)
    log.record(Action.CONNECTION_ENDED, about=_about(connection), by=by, reason=reason)
    begun = Session.objects.filter(client=client, person=person, agent=agent)
    sessions.end_all_of(begun, changed, by=by, reason=reason)
    signed_in = TokenFamily.objects.filter(client=client, person=person, agent=agent)
    families.end_all_of(changed, by=by, reason=reason, which=signed_in)
    changes.note(changed)


def _about(connection: Connection) -> list[str]:
    """Return how the events of a connection are found again."""
    return [
        f"connection:{connection.pk}",
        f"client:{connection.client.client_id}",
        f"person:{connection.person.login}",
        f"agent:{connection.agent.slug}",
    ]
