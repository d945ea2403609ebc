"""A document that changed: other keys or redirect hosts end the sign-ins and ask again, the rest is taken over."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from audit.models import Event
from entitlements.client_documents import documents, hosts
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.conflicts import independence
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.client_documents.site import Page, Site
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import BACK, agree, question, redeem, refresh
from tests.entitlements.edge.worlds import Answer, World

pytestmark = pytest.mark.loopback

ELSEWHERE = "https://elsewhere.example/back"


def ask(world: World, client_id: str, **changes: str | None) -> Any:  # noqa: ANN401 - a response of Django's client
    return world.http.get(sign_ins.address(world), question(world, client_id=client_id, **changes))


def sign_in(world: World, client_id: str) -> Answer:
    answer = redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id)
    assert answer.status == 200, answer.body
    return answer


def grow_old(client_id: str) -> None:
    """Let what was read be a day old."""
    ClientDocument.objects.filter(client_id=client_id).update(fresh_until=clock.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uris": [sign_ins.REGISTERED, ELSEWHERE]},
        {"jwks": worlds.key_set(worlds.new_key()), "redirect_uris": [sign_ins.REGISTERED]},
    ],
)
def test_other_keys_or_hosts_end_the_sign_ins_and_ask_again(
    world: World, site: Site, allowed: ClientHost, changed: dict[str, Any]
) -> None:
    client_id = site.document()
    token = sign_in(world, client_id).body["refresh_token"]
    site.document(**changed)
    assert refresh(world, token, client_id=client_id).status == 200, "nothing is fetched where no person is"
    token = sign_in(world, client_id).body["refresh_token"]
    grow_old(client_id)

    page = ask(world, client_id)

    assert sign_ins.sent_back(page)["error"] == "login_required", "the session ended with it"
    assert TokenFamily.objects.filter(ended_at=None).count() == 0
    assert Session.objects.filter(client__client_id=client_id, ended_at=None).count() == 0
    assert refresh(world, token, client_id=client_id).status in (400, 401)
    client = Client.objects.get(client_id=client_id)
    assert (client.auth, client.status) == ("private_key_jwt" if "jwks" in changed else "none", "active")
    assert Event.objects.filter(action="client.document_applied").count() == 1
    flow.sign_in(world, ago=100)
    assert ask(world, client_id).status_code == 200
    assert allowed.host


def test_a_changed_client_of_another_host_waits_for_the_analyst_again(
    world: World, site: Site, analyst: Person
) -> None:
    client_id = site.document()
    ask(world, client_id)
    documents.approve(ClientDocument.objects.get().pk, agent=world.agent, by=world.agent.sponsor)
    token = sign_in(world, client_id).body["refresh_token"]
    site.document(redirect_uris=[sign_ins.REGISTERED, ELSEWHERE])
    grow_old(client_id)

    assert ask(world, client_id).status_code == 403

    document, client = ClientDocument.objects.get(), Client.objects.get(client_id=client_id)
    assert (document.state, client.status) == ("waiting", "disabled")
    assert ELSEWHERE not in client.redirect_uris
    assert refresh(world, token, client_id=client_id).status == 401
    assert Event.objects.filter(action="client.document_changed").count() == 1
    with pytest.raises(documents.NotShared):
        documents.approve(document.pk, agent=make.agent(kind="personal"), by=analyst)
    documents.approve(document.pk, agent=world.agent, by=world.agent.sponsor)
    client.refresh_from_db()
    assert (client.status, ELSEWHERE in client.redirect_uris) == ("active", True)
    flow.sign_in(world, ago=100)
    assert sign_in(world, client_id).status == 200


def test_other_changes_are_taken_over_and_end_nothing(world: World, site: Site, allowed: ClientHost) -> None:
    client_id = site.document()
    token = sign_in(world, client_id).body["refresh_token"]
    site.document(client_name="Desk client 2", redirect_uris=["http://127.0.0.1/other", sign_ins.REGISTERED])
    grow_old(client_id)

    assert ask(world, client_id, redirect_uri="http://127.0.0.1:5000/other").status_code == 200

    assert Client.objects.get(client_id=client_id).name == "Desk client 2"
    assert refresh(world, token, client_id=client_id).status == 200
    (applied,) = Event.objects.filter(action="client.document_applied")
    assert applied.actor == "system:mandate"
    ask(world, client_id)
    assert Event.objects.filter(action="client.document_applied").count() == 1
    assert allowed.host


@pytest.mark.parametrize(
    "changed", [{"client_name": "Desk client 2"}, {"redirect_uris": [sign_ins.REGISTERED, ELSEWHERE]}]
)
def test_a_change_starts_no_client_that_a_person_disabled(
    world: World, site: Site, allowed: ClientHost, analyst: Person, changed: dict[str, Any]
) -> None:
    client_id = site.document()
    sign_in(world, client_id)
    client = Client.objects.get(client_id=client_id)
    clients.disable(client, by=analyst.principal, reason="Looked at.")
    site.document(**changed)
    grow_old(client_id)

    assert ask(world, client_id).status_code == 400

    client.refresh_from_db()
    assert client.status == "disabled"
    clients.enable(client, by=make.analyst().principal, reason="In order.")
    assert allowed.host


def test_who_ended_a_host_does_not_bring_its_client_back(
    world: World, site: Site, allowed: ClientHost, analyst: Person
) -> None:
    client_id = site.document()
    sign_in(world, client_id)
    hosts.KIND.end(allowed.pk, by=analyst, reason="Bought by another company.")
    assert ask(world, client_id).status_code == 403
    document = ClientDocument.objects.get()
    with pytest.raises(independence.SecondPersonNeeded):
        documents.approve(document.pk, agent=world.agent, by=analyst)
    documents.approve(document.pk, agent=world.agent, by=world.agent.sponsor)
    assert Client.objects.get(client_id=client_id).status == "active"


def test_a_document_that_is_gone_stops_new_sign_ins_alone(world: World, site: Site, allowed: ClientHost) -> None:
    client_id = site.document()
    token = sign_in(world, client_id).body["refresh_token"]
    site.pages.clear()
    assert ask(world, client_id).status_code == 200
    grow_old(client_id)
    assert ask(world, client_id).status_code == 400
    assert refresh(world, token, client_id=client_id).status == 200
    assert allowed.host


def test_a_document_is_kept_as_its_server_says_and_a_day_at_most(world: World, site: Site, allowed: ClientHost) -> None:
    for header, seconds in (("max-age=3600", 3600), ("max-age=999999", 86_400), ("no-store", 60), ("", 86_400)):
        client_id = site.document(f"/{seconds}{len(header)}.json", headers={"Cache-Control": header})
        ask(world, client_id)
        kept = ClientDocument.objects.get(client_id=client_id)
        assert (kept.fresh_until - kept.fetched_at).total_seconds() == seconds
    assert allowed.host


def test_keys_that_stand_elsewhere_are_read_with_the_document(world: World, site: Site, allowed: ClientHost) -> None:
    key = worlds.new_key()
    keys = worlds.key_set(key)
    site.pages["/keys"] = Page(json.dumps(keys).encode())
    client_id = site.document(jwks_uri=site.url("/keys"))
    code = agree(world, client_id=client_id)["code"]
    assert Client.objects.get(client_id=client_id).jwks == keys
    assert redeem(world, code, client_id=client_id).status == 401
    world.client, world.client_key = Client.objects.get(client_id=client_id), key
    proven = world.credentials(world.audience)
    assert redeem(world, code, client_id=None, **proven).status == 200
    assert (allowed.host, BACK) != ("", "")
