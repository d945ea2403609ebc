"""Hosts are proposed by one person and confirmed by another; an analyst decides about the clients that wait."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client as Browser

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.client_documents import admission, documents, hosts
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import Client
from entitlements.people import people
from entitlements.people.models import Person, Role
from governance.notices import listener
from governance.notices.models import Notice
from tests import make
from tests.entitlements.client_documents.site import Site
from tests.entitlements.edge.worlds import World

pytestmark = pytest.mark.loopback

HOST = "desk.example"
CLIENT = f"https://{HOST}/client.json"


def document(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    usual = {"client_id": CLIENT, "client_name": "Desk client", "redirect_uris": [f"https://{HOST}/back"]}
    return {**usual, **changed}


def at(person: Person) -> Browser:
    """Return the browser of a person who signed in a moment ago."""
    browser = Browser()
    browser.force_login(person)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(person.pk)
    session.save()
    return browser


@pytest.fixture
def waiting(world: World, analyst: Person) -> ClientDocument:
    stored = documents.store(CLIENT, document(), by=analyst, reason="No internet here.")
    stored.state, stored.tried_by, stored.asked_at = "waiting", [world.alice.pk], stored.fetched_at
    stored.save()
    return stored


def test_a_host_is_proposed_by_one_and_confirmed_by_a_person_responsible(
    world: World, analyst: Person, waiting: ClientDocument
) -> None:
    proposed = hosts.propose(HOST, agent=world.agent, by=analyst, reason="ours")
    with pytest.raises(hosts.KIND.proposed_already):
        hosts.propose(HOST, agent=world.agent, by=analyst, reason="again")
    for other in (analyst, make.analyst(), make.security()):
        with pytest.raises(hosts.NotResponsible):
            hosts.KIND.confirm(proposed.pk, by=other)

    hosts.KIND.confirm(proposed.pk, by=world.agent.sponsor)

    waiting.refresh_from_db()
    assert waiting.state == "read", "what waited because of it is free"
    with pytest.raises(hosts.KIND.over):
        hosts.KIND.confirm(proposed.pk, by=world.agent.sponsor)
    actions = ["client.host_proposed", "client.host_allowed"]
    events = Event.objects.filter(action__startswith="client.host").order_by("at")
    assert list(events.values_list("action", flat=True)) == actions


def test_who_proposed_a_host_does_not_confirm_it(world: World) -> None:
    sponsor = world.agent.sponsor
    people.assign_role(sponsor, Role.ANALYST, by=SYSTEM, reason="made for a test")
    proposed = hosts.propose(HOST, agent=world.agent, by=sponsor, reason="ours")
    with pytest.raises(hosts.KIND.proposed_by_own_account):
        hosts.KIND.confirm(proposed.pk, by=sponsor)


@pytest.mark.parametrize(
    "host", ["", "localhost", "Desk.example", "desk.example/x", "https://desk.example", "*.example", "a b.example"]
)
def test_a_host_is_a_name(world: World, analyst: Person, host: str) -> None:
    with pytest.raises(hosts.BadHost):
        hosts.propose(host, agent=world.agent, by=analyst, reason="ours")


def test_clients_join_a_shared_agent_alone(world: World, analyst: Person, waiting: ClientDocument) -> None:
    Agent.objects.filter(pk=world.agent.pk).update(kind=Agent.Kind.PERSONAL)
    world.agent.refresh_from_db()
    with pytest.raises(documents.NotShared):
        hosts.propose(HOST, agent=world.agent, by=analyst, reason="ours")
    with pytest.raises(documents.NotShared):
        documents.approve(waiting.pk, agent=world.agent, by=analyst)


def test_the_api_lists_proposes_decides(world: World, analyst: Person, waiting: ClientDocument) -> None:
    http, sponsor = at(analyst), at(world.agent.sponsor)
    sent = {"host": HOST, "agent": world.agent.slug, "reason": "ours"}
    made = http.post("/api/v1/client-hosts", sent, content_type="application/json")
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    assert at(world.alice).post("/api/v1/client-hosts", sent, content_type="application/json").status_code == 403
    assert http.post(f"/api/v1/client-hosts/{key}/confirm").status_code == 403
    assert sponsor.post(f"/api/v1/client-hosts/{key}/confirm").json()["state"] == "in_force"
    ended = http.post(f"/api/v1/client-hosts/{key}/end", {"reason": "over"}, content_type="application/json")
    assert ended.json()["state"] == "ended"

    again = {"client_id": f"https://{HOST}/other.json", "reason": "No internet here."}
    again["document"] = document(client_id=again["client_id"])  # type: ignore[assignment]
    stored = http.post("/api/v1/client-documents", again, content_type="application/json")
    assert stored.status_code == 201, stored.content
    assert stored.json()["stored_by"] == analyst.login
    assert at(world.alice).get("/api/v1/client-documents").json()["results"] == []
    ClientDocument.objects.filter(pk=waiting.pk).update(state="waiting", tried_by=[world.alice.pk])
    refused = http.post(
        f"/api/v1/client-documents/{waiting.pk}/refuse", {"reason": "Not known."}, content_type="application/json"
    )
    assert (refused.json()["state"], refused.json()["people"]) == ("refused", 1)
    approved = http.post(
        f"/api/v1/client-documents/{waiting.pk}/approve", {"agent": world.agent.slug}, content_type="application/json"
    )
    assert approved.json()["state"] == "approved"


def test_the_console_shows_and_decides(world: World, analyst: Person, waiting: ClientDocument) -> None:
    http, sponsor = at(analyst), at(world.agent.sponsor)
    sent = {"host": "other.example", "agent": world.agent.name, "reason": "ours"}
    assert http.post("/settings/clients/propose/", sent)["Location"] == "/settings/clients/"
    wrong = http.post("/settings/clients/propose/", {**sent, "host": "Nonsense"})
    assert wrong.status_code == 422
    host = ClientHost.objects.get()
    listing = sponsor.get("/settings/clients/").content.decode()
    assert "other.example" in listing
    sponsor.post(f"/settings/clients/hosts/{host.pk}/", {"verb": "confirm"})
    host.refresh_from_db()
    assert host.state == "in_force"

    assert "Desk client" in http.get("/settings/clients/").content.decode()
    page = f"/settings/clients/documents/{waiting.pk}/"
    assert HOST in http.get(page).content.decode()
    assert http.post(page, {"refuse": "yes"}).status_code == 422
    assert http.post(page, {"approve": "yes", "agent": world.agent.slug}).status_code == 302
    waiting.refresh_from_db()
    assert waiting.state == "approved"
    assert not Client.objects.filter(client_id=CLIENT).exists(), "it waits for the sponsor"


def test_analysts_and_those_who_tried_get_notices(world: World, site: Site, analyst: Person) -> None:
    for person in (world.alice, make.person("bob")):
        admission.admit(site.document(), by=person)
    waiting = ClientDocument.objects.get()
    assert told(analyst) == [
        "A client waits for a decision: Desk client, which describes itself at " + waiting.host + "."
    ]

    documents.refuse(waiting.pk, by=analyst, reason="Not known.")
    assert "refused a client" in told(world.alice)[-1]
    documents.approve(waiting.pk, agent=world.agent, by=world.agent.sponsor)
    assert "You can sign in to a client now" in told(world.alice)[-1]
    assert len(told(Person.objects.get(login="bob"))) == 2


def told(person: Person) -> list[str]:
    """Return what a person's notices say, the oldest first, once each event was heard."""
    for event in Event.objects.order_by("at"):
        listener.notify(event)
    return list(Notice.objects.filter(person=person).order_by("made_at").values_list("sentence", flat=True))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_id": "https://evil.example/client.json"}, "client_document_of_another_client"),
        ({"jwks_uri": f"https://{HOST}/keys"}, "bad_client_metadata"),
        ({"client_secret": "s"}, "secret_in_client_metadata"),
    ],
)
def test_a_document_by_hand_passes_the_same_rules(
    world: World, analyst: Person, changed: dict[str, Any], code: str
) -> None:
    sent = {"client_id": CLIENT, "document": document(**changed), "reason": "No internet here."}
    answer = at(analyst).post("/api/v1/client-documents", sent, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert world.agent.slug
