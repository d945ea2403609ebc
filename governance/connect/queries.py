"""What connecting a client needs: which agents, clients and systems there are for a person, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import F, Func, Max, Q, QuerySet, TextField
from django.utils.translation import gettext_lazy as _

from audit.actions import Action
from audit.models import Event
from entitlements import addresses
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients import redirects
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.vendors.queries import issuer_of

from .recipes import Recipe, find
from .registry import Entry, namespace
from .rollout import McpServer

_SPEAKS_MCP: Final = (System.Kind.MCP_GATEWAY, System.Kind.HTTP, System.Kind.STDIO, System.Kind.MCP)


@dataclass(frozen=True, slots=True)
class ConnectionPlace:
    """One MCP server that an agent reaches, with what a client needs of it. `issuer` and `scopes` are a system's."""

    key: str
    name: Any
    server: str
    resource: str
    issuer: str = ""
    scopes: str = ""


def agents(caller: Caller) -> QuerySet[Agent]:
    """Return the agents whose clients a person may connect: those they answer for, and those that act for them."""
    mine = visibility.agents(caller).filter(status=Agent.Status.ACTIVE)
    if caller.sees_everything or caller.human is None:
        return mine
    serve_me = _held(visibility.naming(caller.human.login)).values("agent")
    either = Q(pk__in=mine.order_by().values("pk")) | Q(pk__in=serve_me)
    return Agent.objects.filter(either, status=Agent.Status.ACTIVE)


def clients_of_agents(agents: QuerySet[Agent]) -> QuerySet[Client]:
    """Return the clients that act through any of some agents, by their own or by an open connection."""
    connected = Connection.objects.filter(agent__in=agents, ended_at=None).values("client")
    return Client.objects.select_related("agent").filter(Q(agent__in=agents) | Q(pk__in=connected))


def answers_for(caller: Caller, agent: Agent) -> bool:
    """Say whether a person sees all of an agent's clients, and not only those in which they sign in themselves."""
    return visibility.agents(caller).filter(pk=agent.pk).exists()


def clients(caller: Caller, agent: Agent) -> list[Client]:
    """Return the agent's clients in use; to a person whom the agent only acts for, those in which people sign in."""
    rows = connections.clients_of(agent).filter(status=Client.Status.ACTIVE).order_by("pk")
    return list(rows if answers_for(caller, agent) else rows.exclude(redirect_uris=""))


def places(caller: Caller, agent: Agent) -> list[ConnectionPlace]:
    """Return the MCP servers at which an agent holds access in force: for this person, unless they answer for it."""
    held = _held(Q() if answers_for(caller, agent) else visibility.naming(caller.human.login if caller.human else ""))
    scopes: dict[System, set[str]] = {}
    rows = held.filter(agent=agent, entitlement__system__in=System.objects.filter(kind__in=_SPEAKS_MCP))
    for grant in rows.select_related("entitlement__system"):
        if grant.entitlement.system.status == System.Status.ACTIVE:
            scopes.setdefault(grant.entitlement.system, set()).add(grant.entitlement.scope)
    found = [_place(system, scopes[system]) for system in sorted(scopes, key=lambda reached: reached.slug)]
    if found and agent.kind != Agent.Kind.SERVICE:
        every = every_system()
        found.append(ConnectionPlace(addresses.ALL, _("All systems"), every.name, every.url))
    return found


def _held(condition: Q) -> QuerySet[Grant]:
    return Grant.objects.filter(condition, ended_at=None)


def _place(system: System, scopes: Iterable[str]) -> ConnectionPlace:
    return ConnectionPlace(
        system.slug,
        system.name,
        system.slug,
        addresses.resources(system)[0],
        issuer_of(system),
        " ".join(sorted(scopes)),
    )


def fits(client: Client, recipe: Recipe) -> bool:
    """Say whether a client is registered as a recipe needs it: with its addresses and no secret, or with a key."""
    if recipe.with_key:
        return client.auth == Client.Auth.PRIVATE_KEY_JWT
    registered = client.redirect_uris.split()
    return client.auth == Client.Auth.NONE and all(redirects.allows(registered, each) for each in recipe.redirects)


@dataclass(frozen=True, slots=True)
class ConnectionSignal:
    """One step of connecting: when it last happened, and whether it was refused then."""

    name: Any
    at: datetime | None
    code: str = ""
    uuid: str = ""


def signals(client: Client, person: Person | None = None) -> list[ConnectionSignal]:
    """Return the last sign-in, token and call of a client; with a person, of that person alone."""
    of = {"client": client} if person is None else {"client": client, "person": person}
    last_session = Session.objects.filter(**of).order_by("-started_at").first()
    last_token = IssuedToken.objects.filter(**of).order_by("-issued_at").first()
    links = [f"client:{client.client_id}", *([f"person:{person.login}"] if person else [])]
    events = Event.objects.filter(links__contains=links)
    call = events.filter(action__in=["call.allowed", "call.denied"]).order_by("-at").first()
    refused = events.filter(action="token.refused").order_by("-at").first()
    token = ConnectionSignal(_("Token"), last_token.issued_at if last_token else None)
    if refused and (token.at is None or refused.at > token.at):
        token = ConnectionSignal(_("Token"), refused.at, refused.code, str(refused.uuid))
    return [
        ConnectionSignal(_("Sign-in"), last_session.started_at if last_session else None),
        token,
        ConnectionSignal(_("Call"), call.at, call.code if call.action == "call.denied" else "", str(call.uuid))
        if call
        else ConnectionSignal(_("Call"), None),
    ]


def every_system() -> McpServer:
    """Return the server that has the tools of all systems."""
    return McpServer("mandate", addresses.resources_of(addresses.ALL, System.Kind.BUILTIN, "")[0])


def served() -> list[McpServer]:
    """Return the MCP servers that the gateway serves now, by name."""
    return [McpServer(system.slug, addresses.resources(system)[0]) for system in _served()]


def _served() -> QuerySet[System]:
    return System.objects.filter(kind__in=System.SERVED, status=System.Status.ACTIVE).order_by("slug")


def entries() -> list[Entry]:
    """Return these servers as the registry lists them, with when each was registered and last changed."""
    space = namespace(str(urlsplit(settings.CONSOLE_URL).hostname))
    changed = _last_changes()
    return [
        Entry(
            f"{space}/{system.slug}",
            system.name,
            addresses.resources(system)[0],
            f"1.0.{system.version}",
            system.created_at,
            changed.get(f"system:{system.slug}", system.created_at),
        )
        for system in (*System.objects.filter(slug=addresses.ALL), *_served())
    ]


def _last_changes() -> dict[str, datetime]:
    changes = [Action.SYSTEM_REGISTERED, Action.SYSTEM_EDITED, Action.SYSTEM_ENABLED]
    link = Func(F("links"), function="unnest", output_field=TextField())
    rows = Event.objects.filter(action__in=changes).annotate(link=link).values("link").annotate(last=Max("at"))
    return dict(rows.values_list("link", "last"))


def rollout_clients() -> list[Client]:
    """Return the clients in use that are registered for Claude Code."""
    rows = Client.objects.filter(auth=Client.Auth.NONE, status=Client.Status.ACTIVE).order_by("client_id")
    return [client for client in rows.select_related("agent") if fits(client, find("claude-code"))]
