"""What the tests of metadata documents begin from."""

from __future__ import annotations

from audit import clock
from entitlements.agents.models import Agent
from entitlements.client_documents import hosts, rules
from entitlements.client_documents.models import ClientHost
from entitlements.people.models import Person
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World


def world() -> World:
    """Return the usual world, whose agent is shared."""
    made = worlds.world()
    Agent.objects.filter(pk=made.agent.pk).update(kind=Agent.Kind.SHARED)
    made.agent.refresh_from_db()
    return made


def allow(address: str, agent: Agent, analyst: Person) -> ClientHost:
    """Allow the host of an address: the analyst proposed it, the agent's sponsor confirms it.

    The name of a host has a dot, and an address on loopback none, so the proposal is written.
    """
    host, now = rules.host(address), clock.now()
    row = ClientHost.objects.create(host=host, agent=agent, reason="known", proposed_by=analyst, proposed_at=now)
    return hosts.KIND.confirm(row.pk, by=agent.sponsor)
