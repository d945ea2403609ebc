"""Whom a person may let use an account: the clients of agents that act for them at a system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.connections.models import Connection
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.secrets.models import Secret


@dataclass(frozen=True, slots=True)
class Offer:
    """One client of one agent."""

    client: Client
    agent: Agent

    @property
    def key(self) -> tuple[int, int]:
        """Both by primary key."""
        return self.client.pk, self.agent.pk

    @property
    def value(self) -> str:
        """How a form names it."""
        return f"{self.client.pk}:{self.agent.pk}"


def for_person(person: Person, system: System) -> list[Offer]:
    """Return the clients of agents with access to a system for a person, by name."""
    agents = Agent.objects.filter(pk__in=live_grants(person, system).values("agent"))
    own = Client.objects.filter(agent__in=agents, status=Client.Status.ACTIVE).select_related("agent")
    offers = [Offer(client, client.agent) for client in own if client.agent is not None]
    connected = Connection.objects.filter(person=person, ended_at=None, agent__in=agents)
    offers += [Offer(each.client, each.agent) for each in connected.select_related("client", "agent")]
    return sorted(offers, key=lambda each: (each.agent.name, each.client.client_id))


def systems_of(person: Person) -> QuerySet[System]:
    """Return the systems that are called with accounts of people and to which an agent of the person has access."""
    held = live_grants(person).values("entitlement__system")
    return System.objects.filter(pk__in=held, secret__kind=Secret.Kind.OAUTH_USER, secret__withheld_at=None)


def live_grants(person: Person, system: System | None = None) -> QuerySet[Grant]:
    """Return the grants that name a person or a group of theirs and have not ended; one that is suspended counts."""
    named = Q(subjects__person=person) | Q(subjects__group__memberships__person=person)
    rows = Grant.objects.filter(named, ended_at=None, expires_at__gt=clock.now())
    return rows if system is None else rows.filter(entitlement__system=system)


def by_key(offers: Iterable[Offer]) -> dict[tuple[int, int], Offer]:
    """Return offers by their keys."""
    return {offer.key: offer for offer in offers}
