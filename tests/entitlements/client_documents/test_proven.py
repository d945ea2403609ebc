"""A person who agreed before is not asked again by a client with a proven identity, and always by a loopback client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from entitlements.client_documents import documents, rules
from entitlements.client_documents.models import ClientDocument
from entitlements.people.models import Person
from entitlements.token_families import families, person_sign_ins
from entitlements.token_families.models import TokenFamily
from entitlements.token_families.person_sign_ins import PersonClient
from tests import make
from tests.entitlements.client_documents import company
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import agree, question, redeem, sent_back
from tests.entitlements.edge.worlds import World

CLIENT = "https://desk.example/client.json"
BACK = "https://desk.example/back"
LOOPBACK = "http://127.0.0.1/back"


@pytest.fixture
def client_id(world: World, analyst: Person, settings: Settings) -> str:
    settings.DEMO = False
    company.allow(CLIENT, world.agent, analyst)
    told = {"client_id": CLIENT, "client_name": "Desk", "redirect_uris": [BACK, LOOPBACK]}
    documents.store(CLIENT, told, by=analyst, reason="No internet here.")
    return CLIENT


def ask(world: World, **changes: str | None) -> Any:  # noqa: ANN401 - a response of Django's client
    asked = {"client_id": CLIENT, "redirect_uri": BACK, **changes}
    return world.http.get(sign_ins.address(world), question(world, **asked))


def sign_in(world: World, *, back: str = BACK, scope: str | None = None) -> TokenFamily:
    code = agree(world, client_id=CLIENT, redirect_uri=back, scope=scope)["code"]
    assert redeem(world, code, client_id=CLIENT, redirect_uri=back).status == 200
    return TokenFamily.objects.latest("started_at")


def test_who_agreed_before_is_not_asked_again(world: World, client_id: str) -> None:
    assert ask(world).status_code == 200
    sign_in(world)
    again = ask(world)
    assert again.status_code == 302
    assert redeem(world, sent_back(again)["code"], client_id=client_id, redirect_uri=BACK).status == 200
    assert "code" in sent_back(ask(world, prompt="none"))
    assert ask(world, prompt="consent").status_code == 200
    assert ClientDocument.objects.get().stored_by is not None


def test_a_loopback_client_asks_each_time(world: World, client_id: str) -> None:
    sign_in(world, back=LOOPBACK)
    assert ask(world, redirect_uri=LOOPBACK).status_code == 200
    assert sent_back(ask(world, redirect_uri=LOOPBACK, prompt="none"))["error"] == "consent_required"
    assert client_id


def test_a_consent_that_was_withdrawn_counts_no_longer(world: World, client_id: str) -> None:
    families.revoke(sign_in(world).pk, by=world.alice.principal, reason="I no longer use it.")
    assert ask(world).status_code in (200, 302)
    assert "code" not in sent_back(ask(world, prompt="none"))
    assert client_id


def test_who_agreed_to_another_agent_is_asked(world: World, client_id: str) -> None:
    sign_in(world)
    TokenFamily.objects.update(agent=make.agent())
    assert sent_back(ask(world, prompt="none"))["error"] == "consent_required"
    assert client_id


def test_who_ended_everything_at_a_client_is_asked_where_a_sign_in_had_lapsed_before(
    world: World, client_id: str
) -> None:
    sign_in(world)
    TokenFamily.objects.update(expires_at=clock.now(), started_at=clock.now() - timedelta(hours=12))
    flow.sign_in(world, ago=100)
    assert ask(world).status_code == 302, "one that ran out of time still counts"

    person_sign_ins.end(PersonClient("alice", client_id), by=world.alice.principal, reason="I do not know it.")

    flow.sign_in(world, ago=50)
    assert ask(world).status_code == 200
    assert sent_back(ask(world, prompt="none"))["error"] == "consent_required"


def test_more_than_was_agreed_to_is_asked(world: World, client_id: str) -> None:
    other = make.entitlement(world.system, scope="time:write")
    make.grant(world.agent, other, people=[world.alice])
    sign_in(world, scope=world.entitlement.scope)
    assert ask(world, scope=world.entitlement.scope).status_code == 302
    assert ask(world, scope=f"{world.entitlement.scope} {other.scope}").status_code == 200
    assert ask(world).status_code == 200, "all that there is"
    assert client_id


def test_another_person_is_asked(world: World, client_id: str) -> None:
    family = sign_in(world)
    TokenFamily.objects.filter(pk=family.pk).update(person=make.person("bob"))
    assert ask(world).status_code == 200
    assert client_id


def test_a_registered_public_client_asks_each_time(world: World) -> None:
    sign_ins.public_client(world, redirect_uris=BACK)
    redeem(world, agree(world, redirect_uri=BACK)["code"], redirect_uri=BACK)
    assert world.http.get(sign_ins.address(world), question(world, redirect_uri=BACK)).status_code == 200


@pytest.mark.parametrize(
    ("client_id", "auth", "back", "is_proven"),
    [
        (CLIENT, "none", BACK, True),
        (CLIENT, "none", "https://desk.example:444/back", False),
        (CLIENT, "none", "https://evil.example/back", False),
        (CLIENT, "none", LOOPBACK, False),
        (CLIENT, "private_key_jwt", "https://other.example/back", True),
        (CLIENT, "private_key_jwt", LOOPBACK, False),
        ("desk-client", "none", BACK, False),
        ("desk-client", "private_key_jwt", BACK, True),
        ("desk-client", "client_secret_basic", BACK, False),
    ],
)
def test_what_proves_a_client(client_id: str, auth: str, back: str, is_proven: bool) -> None:  # noqa: FBT001
    assert rules.is_proven(client_id, auth, back) is is_proven
