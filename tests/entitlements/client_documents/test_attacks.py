"""Attacks on clients that describe themselves: names that lead inside, forms from elsewhere, frames, another's name."""

# ruff: noqa: ANN401 - responses of Django's client

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit.models import Event
from entitlements.client_documents import documents
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import AuthorizationCode, Client, ClientCredential
from entitlements.people.models import Person
from tests.entitlements.client_documents import company
from tests.entitlements.client_documents.site import Site
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import question
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.loopback

NAMED = "https://desk.example/client.json"


def kept() -> tuple[int, ...]:
    return tuple(kind.objects.count() for kind in (ClientDocument, Client, ClientCredential, AuthorizationCode))


def ask(world: World, client_id: str, **changes: str | None) -> Any:
    return world.http.get(sign_ins.address(world), question(world, client_id=client_id, **changes))


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.7", "169.254.169.254"])
def test_a_name_that_leads_inside_is_resolved_once_and_connected_to_never(
    world: World, site: Site, settings: Settings, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    settings.DEMO = False
    port, resolved, reached = int(site.address.rpartition(":")[2]), [], []

    async def rebound(_self: object, host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        resolved.append(host)  # public at the first question, as for a check, and inside from then on
        found = ["1.1.1.1", inside] if len(resolved) == 1 else [inside]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async def connected(_self: object, _socket: object, address: object) -> None:
        reached.append(address)
        raise OSError

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", rebound)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connected)
    before = kept()

    page = ask(world, f"https://desk.example:{port}/client.json")

    assert (page.status_code, "Location" in page) == (400, False)
    assert (len(resolved), reached, site.visits, kept()) == (1, [], [], before)
    assert Event.objects.filter(action="attempt.refused").count() == 1


def test_a_form_from_elsewhere_fetches_and_makes_nothing(world: World, site: Site, allowed: ClientHost) -> None:
    client_id, before = site.document(), kept()
    where = f"{sign_ins.address(world)}?{urlencode(question(world, client_id=client_id))}"
    forged = {**question(world, client_id=client_id), "allow": "1", "scope": ""}
    assert world.http.post(where, forged).status_code == 403
    assert (kept(), site.visits) == (before, [])

    sent = flow.form(ask(world, client_id).content.decode()) | {"allow": "1"}
    seen = kept()
    attacker = Browser(enforce_csrf_checks=True)
    token = flow.form(attacker.get("/login/").content.decode())["csrfmiddlewaretoken"]
    assert world.http.post(where, {**sent, "csrfmiddlewaretoken": token}).status_code == 403
    assert kept() == seen
    assert allowed.host


def test_no_page_of_a_sign_in_can_be_framed(world: World, site: Site, allowed: ClientHost) -> None:
    pages = {
        "consent": ask(world, site.document()),
        "refused": ask(world, site.url(), redirect_uri="https://evil.example/"),
        "unusable": ask(world, site.url("/none.json")),
    }
    ClientHost.objects.update(state="ended", ended_at=allowed.confirmed_at, end_reason="over")
    pages["waiting"] = ask(world, site.document("/other.json"))
    assert [page.status_code for page in pages.values()] == [200, 400, 400, 403]
    for kind, page in pages.items():
        assert page["X-Frame-Options"] == "DENY", kind
        assert "frame-ancestors 'none'" in page["Content-Security-Policy"], kind
        assert "no-store" in page["Cache-Control"], kind


def test_a_document_that_claims_another_clients_name_takes_nothing_of_it(
    world: World, analyst: Person, settings: Settings
) -> None:
    settings.DEMO = False
    known = sign_ins.public_client(world)
    code = sign_ins.agree(world)["code"]
    company.allow(NAMED, world.agent, analyst)
    said = {"client_id": NAMED, "client_name": known.name, "redirect_uris": [sign_ins.REGISTERED]}
    documents.store(NAMED, said, by=analyst, reason="No internet here.")

    shown = ask(world, NAMED).content.decode()

    assert "is claimed: any application can give it" in shown
    assert "desk.example" in shown
    own = sign_ins.agree(world, client_id=NAMED)["code"]
    assert sign_ins.redeem(world, code, client_id=NAMED).error == (400, "invalid_grant", "code_unknown")
    assert sign_ins.redeem(world, own).error == (400, "invalid_grant", "code_unknown"), "by the client of that name"
    assert sign_ins.redeem(world, code).status == 200, "nothing of it was ended"
    known.refresh_from_db()
    assert (known.client_id, known.status) == (sign_ins.CLIENT, "active")
