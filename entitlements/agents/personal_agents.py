"""A personal agent: registered for one person, by their consent, at a client whose people each have an agent."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Final

from django.db import transaction
from django.utils.text import slugify

from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.errors import DomainError, Stale
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Person

MOST: Final = 5
"""How many personal agents a person has at a time, retired ones aside."""
_SLUG: Final = 48


class TooManyPersonalAgents(DomainError):
    """You have five personal agents, which is the most. Ask an analyst to retire one that you do not use any more."""

    code, status = "too_many_personal_agents", HTTPStatus.CONFLICT


class ClientServesNoPersonalAgents(DomainError):
    """At this client people have no agent of their own. Sign in at it as usual, or ask an analyst."""

    code, status = "client_serves_no_personal_agents", HTTPStatus.CONFLICT


class AgentStopped(DomainError):
    """Your agent at this client is not in use now. Ask who stopped it, or an analyst."""

    code, status = "personal_agent_stopped", HTTPStatus.CONFLICT


@transaction.atomic
def connect(client: Client, person: Person) -> Connection:
    """Connect a person, who agreed to it, with a client through an agent of their own; returns the open connection.

    The agent of their last connection there acts again unless it is retired; else a new one is registered, without any
    access and with the person as its sponsor. One that is open already is returned as it is. Raises AgentStopped,
    TooManyPersonalAgents, ClientServesNoPersonalAgents, and what registering an agent raises.
    """
    before = connections.latest(client, person)
    if before is not None:
        locks.shared([(Lock.AGENT, before.agent_id)])  # a retirement waits for us, or we see it
    locks.exclusive((Lock.PERSON, person.pk))
    last = connections.latest(client, person)
    if last is not None and last.ended_at is None:
        return last
    if last is not None and (before is None or last.agent_id != before.agent_id):
        raise Stale  # another sign-in of theirs came first: its agent is not locked
    if Client.objects.get(pk=client.pk).serves != Client.Serves.PERSONAL_AGENTS:
        raise ClientServesNoPersonalAgents
    again = last.agent if last is not None and last.agent.status != Agent.Status.RETIRED else None
    if again is not None and again.status != Agent.Status.ACTIVE:
        raise AgentStopped  # else ending a connection would undo a suspension
    agent = again or _register(client, person)
    return connections.begin(client, person, agent, is_new=again is None, by=person.principal)


def _register(client: Client, person: Person) -> Agent:
    """Register the agent. Its names hold nothing about the person, since names of agents are never erased."""
    mine = Agent.objects.filter(connections__person=person).exclude(status=Agent.Status.RETIRED)
    if mine.distinct().count() >= MOST:
        raise TooManyPersonalAgents
    name = client.name or client.client_id
    return agents.register(
        f"{slugify(name)[:_SLUG].strip('-') or 'client'}-{secrets.token_hex(4)}",
        name=name[:200],
        kind=Agent.Kind.PERSONAL,
        sponsor=person,
        owner=None,
        purpose=f"Acts for one person at the client {client.client_id}.",
        by=person.principal,
    )
