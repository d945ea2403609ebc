"""Connect a client: what to type, filled in, and a light that shows how far it has come."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import clock
from entitlements import addresses
from entitlements.access import visibility
from entitlements.clients.models import Client
from governance.clients.queries import connect as read
from governance.console import doors
from governance.requests.queries import choice


@require_safe
@doors.page
def connect(request: HttpRequest) -> HttpResponse:
    """Show the tabs for one agent, client and system; the address chooses."""
    caller, wanted = doors.caller(request), request.GET
    agents = visibility.agents(caller).filter(status="active")
    agent = agents.filter(slug=wanted.get("agent", "")).first()
    context: dict[str, Any] = {"choice_of_agents": choice(agents), "agent": agent, "how": _how(wanted.get("how", ""))}
    context["tabs"] = read.HOW
    if agent:
        clients = list(visibility.clients(caller).filter(agent=agent, status=Client.Status.ACTIVE).order_by("pk"))
        places = read.places(agent)
        client = next((candidate for candidate in clients if candidate.client_id == wanted.get("client")), None)
        place = next((candidate for candidate in places if candidate.system.slug == wanted.get("system")), None)
        context |= {
            "may_add_client": doors.may(caller, "clients", None),
            "clients": clients,
            "client": client or (clients[0] if clients else None),
            "places": places,
            "place": place or (places[0] if places else None),
            "idp": addresses.issuer(addresses.IDP),
            "console": settings.CONSOLE_URL,
            "on_its_own": agent.kind == "service",
        }
        if context["client"]:
            context |= {"signals": read.signals(context["client"]), "now": clock.now()}
    return render(request, "console/clients/connect.html", context)


def _how(wanted: str) -> str:
    return wanted if wanted in read.HOW else "claude"


@require_safe
@doors.page
def light(request: HttpRequest, client_id: str) -> HttpResponse:
    """Answer with the light alone; the page asks for it every few seconds."""
    client = doors.find(visibility.clients(doors.caller(request)), client_id=client_id)
    context = {"client": client, "signals": read.signals(client), "now": clock.now()}
    return render(request, "console/clients/connect.html#light", context)
