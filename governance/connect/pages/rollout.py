"""Roll out: files for a company's programs, made from the catalog, and the registry that programs read."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from entitlements.clients.models import Client
from entitlements.errors import NotFound
from governance.connect import queries as read
from governance.connect import recipes
from governance.connect.rollout import FILES, McpServer, Roll, RolloutFile
from governance.console import doors


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One file, and what it holds; without a text, what it needs first."""

    file: RolloutFile
    text: str


@dataclass(frozen=True, slots=True)
class RolloutPage:
    """What the page shows."""

    servers: list[McpServer]
    clients: list[Client]
    client: Client | None
    files: list[ShownFile]
    registry: str
    readers: tuple[str, ...]
    redirects: tuple[str, ...]


@require_safe
@doors.page
def rollout(request: HttpRequest) -> HttpResponse:
    """Show each file; the address chooses the client that Claude Code is."""
    clients = read.rollout_clients()
    client = next(
        (each for each in clients if each.client_id == request.GET.get("client")), clients[0] if clients else None
    )
    roll = _roll(client)
    page = RolloutPage(
        list(roll.servers),
        clients,
        client,
        [ShownFile(file, file.text(roll) if _can_make(file, roll) else "") for file in FILES],
        settings.CONSOLE_URL,
        tuple(map(str, settings.REGISTRY_READERS)),
        recipes.find("claude-code").redirects,
    )
    return render(request, "console/connect/rollout.html", {"page": page})


@require_safe
@doors.page
def download(request: HttpRequest, name: str) -> HttpResponse:
    """Answer with one file. A file that needs a client or the registry first is not there."""
    clients = {each.client_id: each for each in read.rollout_clients()}
    roll = _roll(clients.get(request.GET.get("client", "")))
    file = next((each for each in FILES if each.key == name), None)
    if file is None or not _can_make(file, roll):
        raise NotFound
    headers = {"Content-Disposition": f'attachment; filename="{file.key}"'}
    return HttpResponse(file.text(roll), content_type="application/json", headers=headers)


def _roll(client: Client | None) -> Roll:
    registry = settings.CONSOLE_URL if settings.REGISTRY_READERS else ""
    return Roll(read.every_system(), read.served(), client.client_id if client else "", registry)


def _can_make(file: RolloutFile, roll: Roll) -> bool:
    return bool(roll.client or not file.needs_client) and bool(roll.registry or not file.needs_registry)
