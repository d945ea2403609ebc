"""What connecting a client needs: addresses filled in, and the last sign-in, token and call of that client."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from audit.models import Event
from entitlements import addresses
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.grants.models import Grant
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken

HOW: Final = {
    "claude": _("Claude Code"),
    "vscode": _("VS Code"),
    "python": _("Python SDK"),
    "curl": _("curl"),
}


@dataclass(frozen=True, slots=True)
class ConnectionPlace:
    """One system that an agent has access to, with the addresses a client needs."""

    system: System
    resource: str
    issuer: str
    scopes: str


def places(agent: Agent) -> list[ConnectionPlace]:
    """Return the systems at which an agent holds access in force."""
    held = Grant.objects.filter(agent=agent, ended_at=None).select_related("entitlement__system")
    scopes: dict[System, set[str]] = {}
    for grant in held:
        scopes.setdefault(grant.entitlement.system, set()).add(grant.entitlement.scope)
    return [
        ConnectionPlace(
            system,
            addresses.resources(system)[0],
            addresses.issuer(addresses.issuer_path(system.slug)),
            " ".join(sorted(scopes[system])),
        )
        for system in sorted(scopes, key=lambda reached: reached.slug)
    ]


@dataclass(frozen=True, slots=True)
class ConnectionSignal:
    """One step of connecting: when it last happened, and whether it was refused then."""

    name: Any
    at: datetime | None
    code: str = ""
    uuid: str = ""


def signals(client: Client) -> list[ConnectionSignal]:
    """Return the last sign-in, token and call of a client."""
    last_session = Session.objects.filter(client=client).order_by("-started_at").first()
    last_token = IssuedToken.objects.filter(client=client).order_by("-issued_at").first()
    events = Event.objects.filter(links__contains=[f"client:{client.client_id}"])
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
