"""Lift the stops that a visitor may have left, with the product's actions, as a second person."""

from __future__ import annotations

from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import systems, tools
from entitlements.catalog.models import System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import guardrails
from entitlements.gateway.models import Guardrail
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from scripts.demo.data import cast
from scripts.demo.story.stage import AGENT, SYSTEM
from scripts.demo.story.visit import AGAIN, REVIEWED


def lift() -> None:
    """Let people, agents, clients, systems and tools of the visit work again, where something stopped them."""
    if Guardrail.objects.filter(name=guardrails.EVERYTHING, on=True).exists():
        guardrails.restart_everything(by=_another("everything", "everything").principal, reason=AGAIN)
    for person in Person.objects.filter(login__in=[character.login for character in cast.PEOPLE], is_active=False):
        people.enable(person, by=_another("person", person.login).principal, reason=AGAIN)
    for system in System.objects.exclude(status=System.Status.ACTIVE).filter(slug__in=[SYSTEM, "time", "git"]):
        systems.enable_system(system, by=_another("system", system.slug).principal, reason=AGAIN)
    for tool in Tool.objects.filter(system__slug=SYSTEM, state=Tool.State.DISABLED).select_related("system"):
        tools.enable_tool(tool, by=_another("tool", f"{SYSTEM}/{tool.name}").principal, reason=AGAIN)
    stopped = Agent.objects.filter(slug__in=[AGENT, *REVIEWED], status=Agent.Status.SUSPENDED)
    for agent in stopped:
        agents.restore(agent, by=_another("agent", agent.slug).principal, reason=AGAIN)
    for client in Client.objects.filter(client_id=AGENT, status=Client.Status.DISABLED):
        clients.enable(client, by=_another("client", AGENT).principal, reason=AGAIN)


def _another(kind: str, key: str) -> Person:
    """Return an analyst or a security person who did not make the last stop of this target."""
    last = Revocation.objects.filter(target_type=kind, target_id=key).order_by("-committed_at").first()
    login = "ana" if last is not None and last.by == "person:resa" else "resa"
    return Person.objects.get(login=login)
