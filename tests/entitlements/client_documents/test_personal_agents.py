"""A host, and a client that an analyst approves, whose people each have an agent of their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import personal_agents
from entitlements.client_documents import documents, hosts, rules
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients import clients
from entitlements.clients.models import Client, ClientCredential
from entitlements.conflicts import independence
from entitlements.connections.models import Connection
from entitlements.people import people
from entitlements.people.models import Person, Role
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.client_documents import test_changes as changes
from tests.entitlements.client_documents.site import Site
from tests.entitlements.client_documents.test_decisions import at, document
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import agree, question, redeem, refresh
from tests.entitlements.edge.worlds import Answer, World

pytestmark = pytest.mark.loopback

PERSONAL = Client.Serves.PERSONAL_AGENTS
HOST = "desk.example"


@pytest.fixture
def confirmer(world: World) -> Person:  # noqa: ARG001 - of the same company
    return make.security()


@pytest.fixture
def personal(site: Site, analyst: Person, confirmer: Person) -> ClientHost:
    """Allow the host of the site: its name has no dot, so the proposal is written."""
    host = rules.host(site.url())
    row = ClientHost.objects.create(
        host=host, serves=PERSONAL, agent=None, reason="known", proposed_by=analyst, proposed_at=clock.now()
    )
    return hosts.KIND.confirm(row.pk, by=confirmer)


def ask(world: World, client_id: str, browser: Browser | None = None) -> Any:  # noqa: ANN401 - a response
    return (browser or world.http).get(sign_ins.address(world), question(world, client_id=client_id))


def answer(world: World, client_id: str, *, allow: bool = True, browser: Browser | None = None) -> Any:  # noqa: ANN401
    """Press a button of the page as it is shown now."""
    shown = ask(world, client_id, browser)
    sent = flow.form(shown.content.decode()) | ({"allow": "1"} if allow else {})
    where = f"{sign_ins.address(world)}?{urlencode(question(world, client_id=client_id))}"
    return (browser or world.http).post(where, sent)


def sign_in(world: World, client_id: str) -> Answer:
    """Connect alice with a client by its page, give her agent the access of the shared one, and sign in."""
    assert answer(world, client_id).status_code == 302
    sign_ins.connected(world, client_id=client_id)
    got = redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id)
    assert got.status == 200, got.body
    return got


def test_the_page_connects_first_and_then_asks_and_two_people_get_an_agent_each(
    world: World, site: Site, personal: ClientHost
) -> None:
    client_id = site.document()
    assert "Connect Desk client?" in ask(world, client_id).content.decode()
    assert not Client.objects.filter(client_id=client_id).exists(), "it appears with the consent, not before"

    connected = answer(world, client_id)

    assert (connected.status_code, connected["Location"][:4]) == (302, "/as/")
    client = Client.objects.get(client_id=client_id)
    assert (client.serves, client.agent, client.status) == ("personal_agents", None, "active")
    agent = Connection.objects.get(client=client).agent
    assert (agent.kind, agent.sponsor) == ("personal", world.alice)
    assert "has no access to" in ask(world, client_id).content.decode()
    make.grant(agent, world.entitlement, people=[world.alice])
    got = redeem(world, agree(world, client_id=client_id)["code"], client_id=client_id)
    assert worlds.peek(got.body["access_token"])["act"]["sub"] == agent.slug
    assert refresh(world, got.body["refresh_token"], client_id=client_id).status == 200

    bob = make.person("bob")
    assert answer(world, client_id, browser=at(bob)).status_code == 302
    assert Connection.objects.get(client=client, person=bob).agent != agent
    assert Client.objects.filter(client_id=client_id).count() == 1
    assert not ClientCredential.objects.filter(client_id=client_id).exists()
    assert personal.host


def test_who_does_not_connect_leaves_no_client(world: World, site: Site, personal: ClientHost) -> None:
    client_id = site.document()
    assert sign_ins.sent_back(answer(world, client_id, allow=False))["error"] == "access_denied"
    assert not Client.objects.filter(client_id=client_id).exists()
    assert not Connection.objects.exists()
    assert personal.host


def test_a_sixth_personal_agent_is_refused_at_a_client_never_seen_before(
    world: World, site: Site, personal: ClientHost
) -> None:
    for _ in range(personal_agents.MOST):
        personal_agents.connect(make.personal_client(), world.alice)
    client_id = site.document()

    refused = answer(world, client_id)

    assert refused.status_code == 409
    assert "You have five personal agents, which is the most." in refused.content.decode()
    assert not Client.objects.filter(client_id=client_id).exists()
    (event,) = Event.objects.filter(action="attempt.refused")
    assert (event.code, event.actor) == ("too_many_personal_agents", "person:alice")
    assert {f"client:{client_id}", f"system:{world.system.slug}"} <= set(event.links)
    assert personal.host


def test_the_end_of_the_host_ends_its_clients(world: World, site: Site, personal: ClientHost, analyst: Person) -> None:
    client_id = site.document()
    token = sign_in(world, client_id).body["refresh_token"]

    hosts.KIND.end(personal.pk, by=analyst, reason="Bought by another company.")

    assert refresh(world, token, client_id=client_id).status == 401
    assert ask(world, client_id).status_code == 403
    waiting = ClientDocument.objects.get()
    with pytest.raises(independence.SecondPersonNeeded):
        documents.approve(waiting.pk, agent=None, serves=PERSONAL, by=analyst)
    with pytest.raises(documents.ServesOtherwise):
        documents.approve(waiting.pk, agent=world.agent, by=world.agent.sponsor)
    documents.approve(waiting.pk, agent=None, serves=PERSONAL, by=make.analyst())
    assert Client.objects.get(client_id=client_id).status == "active"


def test_a_host_of_personal_agents_is_confirmed_by_another_person_with_the_admin_role(
    world: World, analyst: Person, confirmer: Person
) -> None:
    with pytest.raises(clients.ServesPersonalAgents):
        hosts.propose(HOST, agent=world.agent, serves=PERSONAL, by=analyst, reason="ours")
    with pytest.raises(documents.NotShared):
        hosts.propose(HOST, agent=None, by=analyst, reason="ours")
    proposed = hosts.propose(HOST, agent=None, serves=PERSONAL, by=confirmer, reason="ours")
    for other in (analyst, make.analyst(), world.agent.sponsor, world.alice):
        with pytest.raises(hosts.AdminRoleNeeded):
            hosts.KIND.confirm(proposed.pk, by=other)
    second = make.person("second", roles=[Role.ADMIN])
    Person.objects.filter(pk=second.pk).update(email=confirmer.email.replace("@", "+second@"))
    second.refresh_from_db()
    for same in (confirmer, second):
        with pytest.raises(hosts.KIND.proposed_by_own_account):
            hosts.KIND.confirm(proposed.pk, by=same)

    assert hosts.KIND.confirm(proposed.pk, by=make.person(roles=[Role.ADMIN])).state == "in_force"

    allowed = Event.objects.get(action="client.host_allowed")
    assert (allowed.detail["serves"], allowed.about) == ("personal_agents", [f"client_host:{HOST}"])


def test_a_host_counts_only_while_its_confirmer_may_confirm_it(
    world: World, site: Site, personal: ClientHost, confirmer: Person
) -> None:
    assert ask(world, site.document()).status_code == 200
    people.disable(confirmer, by=SYSTEM, reason="left")
    assert ask(world, site.document()).status_code == 403
    people.enable(confirmer, by=SYSTEM, reason="back")
    confirmer.roles.all().delete()
    assert ask(world, site.document("/other.json")).status_code == 403
    assert personal.host


def test_an_analyst_approves_a_client_for_personal_agents_alone(world: World, site: Site, analyst: Person) -> None:
    client_id = site.document()
    assert ask(world, client_id).status_code == 403
    waiting = ClientDocument.objects.get()
    with pytest.raises(clients.ServesPersonalAgents):
        documents.approve(waiting.pk, agent=world.agent, serves=PERSONAL, by=analyst)

    documents.approve(waiting.pk, agent=None, serves=PERSONAL, by=analyst)

    registered = Event.objects.get(action="client.registered", links__contains=[f"client:{client_id}"])
    assert (registered.actor, registered.detail["serves"]) == (str(analyst.principal), "personal_agents")
    assert sign_in(world, client_id).status == 200


@pytest.mark.parametrize("is_analyst", [True, False])
def test_small_changes_are_taken_over_while_who_approved_is_an_analyst(
    world: World,
    site: Site,
    analyst: Person,
    is_analyst: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    client_id = site.document()
    ask(world, client_id)
    documents.approve(ClientDocument.objects.get().pk, agent=None, serves=PERSONAL, by=analyst)
    token = sign_in(world, client_id).body["refresh_token"]
    if not is_analyst:
        analyst.roles.all().delete()
    site.document(client_name="Desk client 2")
    changes.grow_old(client_id)

    assert ask(world, client_id).status_code == (200 if is_analyst else 403)

    client = Client.objects.get(client_id=client_id)
    assert client.name == ("Desk client 2" if is_analyst else "Desk client")
    assert refresh(world, token, client_id=client_id).status == 200, "the same client, whose sign-ins go on"


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uris": [sign_ins.REGISTERED, changes.ELSEWHERE]},
        {"jwks": worlds.key_set(worlds.new_key()), "redirect_uris": [sign_ins.REGISTERED]},
    ],
)
def test_other_keys_or_hosts_end_the_sign_ins(
    world: World, site: Site, personal: ClientHost, changed: dict[str, Any]
) -> None:
    client_id = site.document()
    token = sign_in(world, client_id).body["refresh_token"]
    site.document(**changed)
    changes.grow_old(client_id)

    ask(world, client_id)

    assert not TokenFamily.objects.filter(ended_at=None).exists()
    assert refresh(world, token, client_id=client_id).status in (400, 401)
    client = Client.objects.get(client_id=client_id)
    assert (client.serves, client.agent, client.status) == ("personal_agents", None, "active")
    assert (client.jwks != {}, changes.ELSEWHERE in client.redirect_uris) == ("jwks" in changed, "jwks" not in changed)
    assert personal.host


@pytest.mark.parametrize("is_of_other_agents", [True, False])
def test_without_a_policy_of_its_own_a_changed_client_waits_for_the_analyst(
    world: World,
    site: Site,
    analyst: Person,
    is_of_other_agents: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    client_id = site.document()
    ask(world, client_id)
    documents.approve(ClientDocument.objects.get().pk, agent=None, serves=PERSONAL, by=analyst)
    token = sign_in(world, client_id).body["refresh_token"]
    if is_of_other_agents:
        row = {"agent": world.agent, "reason": "known", "proposed_by": analyst, "proposed_at": clock.now()}
        host = ClientHost.objects.create(host=rules.host(client_id), **row)
        hosts.KIND.confirm(host.pk, by=world.agent.sponsor)
    site.document(redirect_uris=[sign_ins.REGISTERED, changes.ELSEWHERE])
    changes.grow_old(client_id)

    assert ask(world, client_id).status_code == 403

    client = Client.objects.get(client_id=client_id)
    assert (client.status, changes.ELSEWHERE in client.redirect_uris) == ("disabled", False)
    assert refresh(world, token, client_id=client_id).status == 401
    documents.approve(ClientDocument.objects.get().pk, agent=None, serves=PERSONAL, by=analyst)
    client.refresh_from_db()
    assert (client.status, changes.ELSEWHERE in client.redirect_uris) == ("active", True)


def test_the_database_names_an_agent_exactly_where_it_is_shared(world: World, analyst: Person) -> None:
    now, whose = clock.now(), [("own_agent", None), (PERSONAL, world.agent), ("other", None)]
    for serves, agent in whose:
        values = {"serves": serves, "agent": agent, "reason": "known"}
        with pytest.raises(IntegrityError, match="a_client_host_names_its_shared_agent"), transaction.atomic():
            ClientHost.objects.create(host=HOST, proposed_by=analyst, proposed_at=now, **values)
        decided = {**values, "state": "approved", "decided_by": analyst, "decided_at": now}
        read = {"client_id": f"https://{HOST}/c", "host": HOST, "document": {}, "fetched_at": now, "fresh_until": now}
        with pytest.raises(IntegrityError, match="a_decided_client_document_says_by_whom"), transaction.atomic():
            ClientDocument.objects.create(**read, **decided)


def test_the_api_proposes_and_confirms(world: World, analyst: Person, confirmer: Person) -> None:
    http, sent = at(analyst), {"host": HOST, "reason": "ours", "serves": "personal_agents"}
    wrong = http.post("/api/v1/client-hosts", {**sent, "serves": "own_agent"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "client_document_agent_not_shared")
    made = http.post("/api/v1/client-hosts", sent, content_type="application/json")
    assert made.status_code == 201, made.content
    assert (made.json()["serves"], made.json()["agent"]) == ("personal_agents", None)
    confirm = f"/api/v1/client-hosts/{made.json()['id']}/confirm"
    for other in (analyst, world.agent.sponsor):
        assert at(other).post(confirm).status_code in (403, 404)
    assert at(confirmer).post(confirm).json()["state"] == "in_force"

    stored = documents.store(f"https://{HOST}/client.json", document(), by=analyst, reason="No internet here.")
    ClientDocument.objects.filter(pk=stored.pk).update(state="waiting")
    where = f"/api/v1/client-documents/{stored.pk}/approve"
    approved = http.post(where, {"serves": "personal_agents"}, content_type="application/json")
    assert (approved.status_code, approved.json()["serves"]) == (200, "personal_agents")


def test_the_console_proposes_confirms_and_approves(world: World, analyst: Person, confirmer: Person) -> None:
    http = at(analyst)
    sent = {"host": HOST, "serves": "personal_agents", "agent": world.agent.name, "reason": "ours"}
    missing = http.post("/settings/clients/propose/", {"host": HOST, "serves": "own_agent", "reason": "ours"})
    assert (missing.status_code, ClientHost.objects.exists()) == (409, False)
    assert http.post("/settings/clients/propose/", sent)["Location"] == "/settings/clients/"
    host = ClientHost.objects.get()
    assert (host.serves, host.agent) == ("personal_agents", None)
    assert 'value="confirm"' not in http.get("/settings/clients/").content.decode()
    listing = at(confirmer).get("/settings/clients/").content.decode()
    assert "each person has a personal agent" in listing
    assert 'value="confirm"' in listing
    at(confirmer).post(f"/settings/clients/hosts/{host.pk}/", {"verb": "confirm"})
    host.refresh_from_db()
    assert host.state == "in_force"

    stored = documents.store(
        "https://other.example/c", document(client_id="https://other.example/c"), by=analyst, reason="x"
    )
    ClientDocument.objects.filter(pk=stored.pk).update(state="waiting")
    page = f"/settings/clients/documents/{stored.pk}/"
    assert "a personal agent of each person" in http.get(page).content.decode()
    assert http.post(page, {"approve": "yes", "serves": "personal_agents"}).status_code == 302
    shown = http.get(page).content.decode()
    assert "for personal agents" in shown
