"""A client that registered itself: nothing is kept until a person signed in, and then an analyst decides about it."""

# ruff: noqa: ANN401 - responses of Django's client

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.client_documents import documents
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import acceptance
from entitlements.clients.models import Client, ClientCredential
from entitlements.keys import session_keys, signing
from entitlements.people.models import Person
from tests import edge, make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.sign_ins import REGISTERED, agree, question, redeem, refresh
from tests.entitlements.edge.worlds import World


@pytest.fixture(autouse=True)
def on(world: World, settings: Settings) -> None:  # noqa: ARG001 - of the same company
    settings.DYNAMIC_REGISTRATION = True
    signing.ensure(session_keys.REGISTRATIONS)


def registered(world: World, name: str = "Planner", at: str = "", **said: object) -> str:
    body = json.dumps({"redirect_uris": [REGISTERED], "client_name": name, **said}).encode()
    path = at or f"/as/{world.system.slug}/register"
    return str(json.loads(edge.request("POST", path, {"content-type": "application/json"}, body).content)["client_id"])


def ask(world: World, client_id: str, browser: Browser | None = None, **changes: str | None) -> Any:
    return (browser or world.http).get(sign_ins.address(world), question(world, client_id=client_id, **changes))


def kept() -> tuple[int, int, int]:
    return ClientDocument.objects.count(), Client.objects.count(), ClientCredential.objects.count()


def approve(world: World, client_id: str, analyst: Person) -> None:
    document = ClientDocument.objects.get(client_id=client_id)
    documents.approve(document.pk, agent=world.agent, by=analyst)
    acceptance.accept(ClientCredential.objects.get(client_id=client_id, state="waiting").pk, by=world.agent.sponsor)


def test_a_person_tries_it_an_analyst_decides_once_and_then_it_signs_in_and_refreshes(
    world: World, analyst: Person
) -> None:
    client_id, before = registered(world), kept()
    page = ask(world, client_id)
    assert page.status_code == 403
    text = page.content.decode()
    assert "Planner" in text
    assert "(claimed)" in text
    assert "client_document_waiting" in text
    assert kept() == (before[0] + 1, before[1], before[2])
    assert ask(world, client_id).status_code == 403
    assert kept()[0] == before[0] + 1

    approve(world, client_id, analyst)
    key = signing.active_kid(session_keys.REGISTRATIONS)
    signing.withdraw(key, by=SYSTEM, reason="its seal counts no longer")
    back = agree(world, client_id=client_id)
    answer = redeem(world, back["code"], client_id=client_id)

    assert answer.status == 200, answer.body
    assert refresh(world, answer.body["refresh_token"], client_id=client_id).status == 200
    client = Client.objects.get(client_id=client_id)
    assert (client.auth, client.agent, client.redirect_uris) == ("none", world.agent, REGISTERED)


def test_for_a_stranger_nothing_is_opened_or_kept(world: World) -> None:
    client_id, before, stranger = registered(world), (*kept(), Event.objects.count()), Browser()
    assert ask(world, client_id, stranger)["Location"].startswith("/login/")
    assert ask(world, client_id, stranger, prompt="none").status_code == 400
    assert (*kept(), Event.objects.count()) == before


@pytest.mark.parametrize("trick", ["changed", "expired", "another system", "identity issuer", "made up"])
def test_what_is_no_registration_of_this_server_is_refused_once_and_kept_nowhere(
    world: World, trick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = {"another system": f"/as/{make.system('other').slug}/register", "identity issuer": "/idp/register"}
    client_id, before = registered(world, at=at.get(trick, "")), kept()
    if trick == "expired":
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(minutes=61))
    tricked = {"changed": client_id[:-3] + client_id[-3:][::-1] + "A", "made up": "reg.x.y"}
    page = ask(world, tricked.get(trick, client_id))
    assert page.status_code == 400
    assert "client_registration_unknown" in page.content.decode()
    assert "Location" not in page
    assert kept() == before
    assert [event.code for event in Event.objects.filter(action="attempt.refused")] == ["client_registration_unknown"]


def test_a_client_that_was_approved_at_one_system_is_none_at_another(world: World, analyst: Person) -> None:
    client_id = registered(world)
    ask(world, client_id)
    approve(world, client_id, analyst)
    other = make.system("other")
    page = world.http.get(f"/as/{other.slug}/authorize", question(world, client_id=client_id, resource=None))
    assert (page.status_code, "client_registration_unknown" in page.content.decode()) == (400, True)


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/callback",
        "http://127.0.0.1/other",
        "http://127.0.0.1.evil.example/callback",
        "javascript:x",
    ],
)
def test_a_person_is_never_led_where_the_client_did_not_register(world: World, analyst: Person, back: str) -> None:
    client_id = registered(world)
    first = ask(world, client_id, redirect_uri=back)
    assert first.status_code == 403
    assert back not in first.content.decode()
    approve(world, client_id, analyst)
    page = ask(world, client_id, redirect_uri=back)
    assert (page.status_code, "Location" in page) == (400, False)


def test_a_registration_that_claims_another_clients_name_takes_nothing_of_it(world: World, analyst: Person) -> None:
    known = sign_ins.public_client(world)
    client_id = registered(world, name=known.name)
    assert "(claimed)" in ask(world, client_id).content.decode()
    assert Client.objects.get(pk=known.pk).client_id == known.client_id
    approve(world, client_id, analyst)
    shown = ask(world, client_id).content.decode()
    assert "is claimed: any application can give it" in shown
    assert client_id in shown
    code = agree(world, client_id=client_id)["code"]
    assert redeem(world, code).error[1] == "invalid_grant", "not by the client of that name"
    assert worlds.refusals()


def test_while_it_is_off_an_identifier_of_before_opens_nothing_new(world: World, settings: Settings) -> None:
    client_id, before = registered(world), kept()
    settings.DYNAMIC_REGISTRATION = False
    assert ask(world, client_id).status_code == 400
    assert kept() == before
