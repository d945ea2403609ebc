"""A client that describes itself: of an allowed host a person agrees, of any other an analyst decides first."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit.models import Event
from entitlements.client_documents import admission, documents, hosts, rules
from entitlements.client_documents.admission import Admission
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import acceptance
from entitlements.clients.models import AuthorizationCode, Client, ClientCredential
from entitlements.people.models import Person
from tests import make
from tests.entitlements.client_documents.site import Page, Site
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import BACK, agree, question, redeem, refresh
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.loopback


def ask(world: World, client_id: str, browser: Browser | None = None, **changes: str | None) -> Any:  # noqa: ANN401
    asked = question(world, client_id=client_id, **changes)
    return (browser or world.http).get(sign_ins.address(world), asked)


def rows() -> tuple[int, ...]:
    kinds = (ClientDocument, Client, ClientCredential, AuthorizationCode, Event)
    return tuple(kind.objects.count() for kind in kinds)


def test_a_person_signs_in_to_a_client_never_seen_before(world: World, site: Site, allowed: ClientHost) -> None:
    client_id = site.document()
    asked = ask(world, client_id)
    assert asked.status_code == 200
    assert not Client.objects.filter(client_id=client_id).exists(), "it appears with the consent, not before"

    back = agree(world, client_id=client_id)
    answer = redeem(world, back["code"], client_id=client_id)

    assert answer.status == 200, answer.body
    client = Client.objects.get(client_id=client_id)
    assert (client.auth, client.agent, client.name) == ("none", world.agent, "Desk client")
    assert refresh(world, answer.body["refresh_token"], client_id=client_id).status == 200
    credential = ClientCredential.objects.get(client_id=client_id)
    assert (credential.acceptor, credential.askers) == (allowed.confirmed_by, [allowed.proposed_by.login])
    registered = Event.objects.get(action="client.registered", links__contains=[f"client:{client_id}"])
    assert registered.actor == "person:alice"
    assert site.visits == ["/client.json"], "kept for a day"


def test_who_cancels_leaves_no_client(world: World, site: Site, allowed: ClientHost) -> None:
    before = rows()[1:]
    assert agree(world, client_id=site.document(), allow=False)["error"] == "access_denied"
    assert rows()[1:] == before
    assert allowed.host


def test_the_page_names_the_hosts_and_says_that_the_name_is_claimed(
    world: World, site: Site, allowed: ClientHost
) -> None:
    page = ask(world, site.document(client_name="Claude Code")).content.decode()
    assert "is claimed" in page
    assert allowed.host in page
    assert "127.0.0.1" in page


@pytest.mark.parametrize("is_stranger", [True, False])
def test_a_stranger_causes_nothing(world: World, site: Site, allowed: ClientHost, is_stranger: bool) -> None:  # noqa: FBT001
    client_id, before = site.document(), rows()
    browser = Browser() if is_stranger else world.http
    silent = ask(world, client_id, browser, prompt="none")
    answer = browser.get("/idp/authorize", {**flow.question(client_id=client_id, redirect_uri=BACK), "prompt": "none"})
    if is_stranger:
        assert (silent.status_code, answer.status_code) == (400, 400)
        assert (rows(), site.visits) == (before, [])
        assert "/login/" in ask(world, client_id, browser)["Location"]
        assert (rows(), site.visits) == (before, [])
    else:  # the guard is what keeps the stranger out
        assert site.visits == ["/client.json"]
    assert allowed.host


def test_a_client_of_another_host_waits_once_however_many_try(world: World, site: Site) -> None:
    client_id = site.document(client_name="Claude Code")
    people = [world.alice, *(make.person(f"person{n}") for n in range(99))]
    assert [ask(world, client_id).status_code for _ in range(2)] == [403, 403]
    for person in people[1:]:
        assert admission.admit(client_id, by=person).admission is Admission.WAITING

    document = ClientDocument.objects.get()
    assert document.state == "waiting"
    assert set(document.tried_by) == {person.pk for person in people}
    assert not Client.objects.filter(client_id=client_id).exists()
    assert Event.objects.filter(action="client.document_waiting").count() == 100
    assert site.visits == ["/client.json"]


def test_the_page_leads_the_error_to_the_client_when_the_person_goes_back(world: World, site: Site) -> None:
    page = ask(world, site.document())
    back = next(link for link in page.content.decode().split('"') if link.startswith(BACK))
    brought = parse_qs(urlsplit(back.replace("&amp;", "&")).query)
    assert (brought["error"], brought["state"], brought["iss"]) == (["access_denied"], ["s1"], [world.audience])
    assert "analyst decides" in brought["error_description"][0]

    elsewhere = ask(world, site.url(), redirect_uri="https://evil.example/")
    assert "evil.example" not in elsewhere.content.decode()


def test_an_analyst_approves_and_the_owner_accepts(world: World, site: Site, analyst: Person) -> None:
    client_id = site.document()
    ask(world, client_id)
    document = ClientDocument.objects.get()

    documents.approve(document.pk, agent=world.agent, by=analyst)

    assert ask(world, client_id).status_code == 403, "decision 47: the agent's sponsor or owner accepts it"
    waiting = ClientCredential.objects.get(client_id=client_id)
    acceptance.accept(waiting.pk, by=world.agent.sponsor)
    assert redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id).status == 200


def test_a_sponsor_who_is_analyst_decides_alone_and_refused_is_refused(world: World, site: Site) -> None:
    client_id, sponsor = site.document(), world.agent.sponsor
    ask(world, client_id)
    document = ClientDocument.objects.get()

    documents.refuse(document.pk, by=sponsor, reason="Not known.")
    assert ask(world, client_id).status_code == 403
    with pytest.raises(documents.NotWaiting):
        documents.refuse(document.pk, by=sponsor, reason="Not known.")

    documents.approve(document.pk, agent=world.agent, by=sponsor)
    assert redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id).status == 200
    with pytest.raises(documents.NotWaiting):
        documents.approve(document.pk, agent=world.agent, by=sponsor)


def test_a_host_that_is_no_longer_allowed_ends_its_clients(
    world: World, site: Site, allowed: ClientHost, analyst: Person
) -> None:
    client_id = site.document()
    answer = redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id)

    hosts.KIND.end(allowed.pk, by=analyst, reason="bought by another company")

    refused = refresh(world, answer.body["refresh_token"], client_id=client_id)
    assert refused.status == 401
    assert ask(world, client_id).status_code == 403
    assert ClientDocument.objects.get().state == "waiting"


def test_a_host_counts_only_while_its_confirmer_answers_for_the_agent(
    world: World, site: Site, allowed: ClientHost
) -> None:
    world.agent.sponsor = make.person()
    world.agent.save()
    assert ask(world, site.document()).status_code == 403
    assert allowed.host


def test_a_person_signs_in_with_the_identity_side_as_well(world: World, site: Site, allowed: ClientHost) -> None:
    client_id = site.document()
    asked = flow.question(client_id=client_id, redirect_uri=BACK)
    page = world.http.get("/idp/authorize", asked)
    assert page.status_code == 200
    sent = flow.form(page.content.decode()) | {"allow": "1"}
    answer = world.http.post(f"/idp/authorize?{page.request['QUERY_STRING']}", sent)
    code = sign_ins.sent_back(answer)["code"]
    assert flow.redeem(world, code, client_id=client_id, redirect_uri=BACK).status == 200
    assert allowed.host


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (Page(b"{}", status=404), "upstream_unavailable"),
        (Page(b'{"x": "' + b"y" * 5 * 1024 + b'"}'), "upstream_unavailable"),
        (Page(b"{}", {"Content-Type": "text/html"}), "client_document_not_json"),
        (Page(b"{}", {}), "client_document_not_json"),
        (Page(b"{]"), "malformed_call"),
        (Page(b"[]"), "client_document_of_another_client"),
        (Page(b'{"client_id": "https://claude.ai/client.json"}'), "client_document_of_another_client"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_and_recorded_once(
    world: World, site: Site, allowed: ClientHost, page: Page, code: str
) -> None:
    site.pages["/client.json"] = page
    before = rows()
    answer = ask(world, site.url())
    assert answer.status_code == 400
    assert "Location" not in answer
    assert code in answer.content.decode()
    assert rows() == (*before[:-1], before[-1] + 1)
    assert Event.objects.latest("at").code == code
    assert allowed.host


def test_a_redirect_is_not_followed(world: World, site: Site, allowed: ClientHost) -> None:
    site.document("/real.json", client_id=site.url())
    site.pages["/client.json"] = Page(b"", {"Location": site.url("/real.json")}, 302)
    assert ask(world, site.url()).status_code == 400
    assert site.visits == ["/client.json"]
    assert allowed.host


def test_a_secret_in_the_document_is_refused(world: World, site: Site, allowed: ClientHost) -> None:
    assert "secret_in_client_metadata" in ask(world, site.document(client_secret="s")).content.decode()
    assert not ClientDocument.objects.exists()
    assert allowed.host


def test_a_slow_document_is_given_up(
    world: World, site: Site, allowed: ClientHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SECONDS", 0.3)
    site.pages["/client.json"] = Page(b"{" + b" " * 400 + b"}", pause=0.2)
    assert "upstream_unavailable" in ask(world, site.url()).content.decode()
    assert allowed.host


def test_a_document_and_its_keys_have_one_time_together(
    world: World, site: Site, allowed: ClientHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "SECONDS", 1.0)
    client_id = site.document(jwks_uri=site.url("/keys"), token_endpoint_auth_method="private_key_jwt")
    keys = json.dumps(worlds.key_set(worlds.new_key())).encode()
    for path, body in (("/client.json", site.pages["/client.json"].body), ("/keys", keys)):
        site.pages[path] = Page(body, pause=0.15)  # four times: each alone would do
    assert "upstream_unavailable" in ask(world, client_id).content.decode()
    assert allowed.host


@pytest.mark.parametrize(
    "client_id",
    [
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://10.0.0.1/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/client.json",
        "http://localhost/client.json",
        "http://example.com/client.json",
        "https://example.com",
        "https://example.com/",
        "https://example.com/a/../b",
        "https://example.com/a/%2E%2e/b",
        "https://example.com/a#b",
        "https://user@example.com/a",
        "https://EXAMPLE.com/a",
        "https://example.com/" + "a" * 300,
    ],
)
def test_an_address_that_leads_inside_is_never_asked(
    world: World,
    site: Site,
    settings: Settings,
    client_id: str,
) -> None:
    settings.DEMO = False
    answer = ask(world, client_id)
    assert answer.status_code == 400
    assert not ClientDocument.objects.exists()
    assert site.visits == []


def test_one_person_lets_only_so_many_clients_wait(world: World, site: Site) -> None:
    for n in range(10):
        assert ask(world, site.document(f"/{n}.json")).status_code == 403
    assert "client_documents_waiting" in ask(world, site.document("/more.json")).content.decode()
    assert ClientDocument.objects.count() == 10
