"""Registering agents and their clients at the screen: who answers for them, and a secret that is shown once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client, ClientCredential
from entitlements.people import people
from governance.ownership import ownership
from governance.ownership.models import OwnershipProposal
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

BOT = {"name": "Travel desk", "kind": "shared", "purpose": "Books trains.", "sponsor": "sofia", "owner": "otto"}
PUBLIC = {**make.PUBLIC_KEY, "kid": "one"}
CLIENT = {"client_id": "travel-desk", "auth": "client_secret_basic"}
CLIENTS = "/agents/research-bot/clients/"


made_world, company = shared.world(companies.found)


def test_an_agent_is_registered_with_the_people_who_answer_for_it(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    response = browser.post("/agents/add/", BOT)
    assert response["Location"] == "/agents/travel-desk/"
    made = Agent.objects.get(slug="travel-desk")
    assert (made.sponsor, made.owner, made.purpose) == (company.sofia, company.otto, "Books trains.")
    assert "Register a client" in visits.text(browser.get("/agents/travel-desk/?tab=tokens"))


def test_people_are_chosen_by_name_with_script_and_without(company: companies.Company) -> None:
    people.disable(company.bob, by=company.ana.principal, reason="left")
    browser = visits.as_(company.ana)
    page = visits.text(browser.get("/agents/add/"))
    assert page.count('data-combobox="/search/options/?kind=person"') == 2
    offered = browser.get("/search/options/", {"kind": "person", "q": "SOF"}).json()["options"]
    assert offered == [{"value": "sofia", "label": "Sofia", "detail": ""}]
    assert browser.get("/search/options/", {"kind": "person", "q": "bob"}).json()["options"] == []
    assert browser.post("/agents/add/", {**BOT, "sponsor": "Sofia", "owner": "otto"}).status_code == 302
    assert Agent.objects.get(slug="travel-desk").sponsor == company.sofia


def test_a_name_that_two_people_share_asks_which_and_loses_nothing(company: companies.Company) -> None:
    people.register("sofia-2", name="Sofia", email="s2@example.org", manager=None, password=None, by=SYSTEM)
    browser = visits.as_(company.ana)
    response = browser.post("/agents/add/", {**BOT, "sponsor": "Sofia"})
    page = visits.text(response)
    assert response.status_code == 422
    assert "<code>ambiguous_person</code>" in page
    assert "sofia, sofia-2" in page
    assert 'value="Sofia"' in page
    options = browser.get("/search/options/", {"kind": "person", "q": "sofia"}).json()["options"]
    assert [option["detail"] for option in options] == ["sofia", "sofia-2"]
    chosen = {**BOT, "sponsor": "Sofia", "sponsor__key": "sofia-2"}
    assert browser.post("/agents/add/", chosen).status_code == 302
    assert Agent.objects.get(slug="travel-desk").sponsor.login == "sofia-2"


def test_a_combobox_offers_only_what_the_person_sees(company: companies.Company) -> None:
    mallory = visits.as_(company.mallory)
    for kind in ("agent", "group", "system"):
        assert mallory.get("/search/options/", {"kind": kind, "q": ""}).json()["options"] == []
    (herself,) = mallory.get("/search/options/", {"kind": "person"}).json()["options"]
    assert herself["value"] == "mallory"
    assert mallory.get("/search/options/", {"kind": "secret"}).status_code == 404


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"sponsor": "nobody"}, "unknown_person"),
        ({"sponsor": "bob"}, "person_disabled"),
        ({"owner": "bob"}, "person_disabled"),
        ({"sponsor": ""}, "required"),
        ({"purpose": ""}, "required"),
        ({"slug": "research-bot"}, "slug_taken"),
        ({"slug": "add"}, "invalid"),
        ({"kind": "god"}, "invalid_choice"),
    ],
)
def test_what_is_wrong_with_an_agent_is_said_beside_the_field(
    company: companies.Company, given: dict[str, str], code: str
) -> None:
    people.disable(company.bob, by=company.ana.principal, reason="left")
    response = visits.as_(company.ana).post("/agents/add/", {**BOT, **given})
    page = visits.text(response)
    assert response.status_code in (409, 422)
    assert f"<code>{code}</code>" in page
    assert 'value="Travel desk"' in page
    assert not Agent.objects.filter(name="Travel desk").exists()


def test_its_owner_edits_what_it_is_and_nobody_from_an_older_version(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    form = {"name": "Desk", "purpose": "Looks things up.", "version": company.bot.version}
    assert browser.post("/agents/research-bot/edit/", form).status_code == 302
    assert browser.post("/agents/research-bot/edit/", {**form, "name": "Older"}).status_code == 412
    company.bot.refresh_from_db()
    assert (company.bot.name, company.bot.purpose) == ("Desk", "Looks things up.")


def test_an_analyst_asks_other_people_with_a_reason_and_never_herself(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    form = {"sponsor": "mona", "owner": "otto", "reason": "Sofia moves on."}
    assert browser.post("/agents/research-bot/people/", {**form, "reason": ""}).status_code == 422
    assert browser.post("/agents/research-bot/people/", {**form, "sponsor": "ana"}).status_code == 403
    assert visits.refusals() == [("person:ana", "self_appointment")]
    assert browser.post("/agents/research-bot/people/", form).status_code == 302
    company.bot.refresh_from_db()
    assert (company.bot.sponsor, company.bot.owner) == (company.sofia, company.otto)
    proposal = OwnershipProposal.objects.get()
    assert (proposal.office, proposal.person, proposal.state) == ("sponsor", company.mona, "waiting")


def test_who_is_asked_sees_it_at_home_and_accepts_or_declines(company: companies.Company) -> None:
    for office in ("sponsor", "backup"):
        ownership.propose(company.bot, office, company.mona, by=company.ana.principal, reason="Sofia moves on.")
    asked = {each.office: f"/proposals/{each.pk}/" for each in OwnershipProposal.objects.all()}
    browser = visits.as_(company.mona)
    home = visits.text(browser.get("/"))
    assert f"You are proposed as sponsor of {company.bot.name}" in home
    assert asked["sponsor"] in home
    assert "may suspend it at any time" in visits.text(browser.get(asked["sponsor"]))
    assert visits.as_(company.otto).post(asked["sponsor"], {"accept": "yes"}).status_code == 403
    assert visits.as_(company.mallory).get(asked["sponsor"]).status_code == 404
    assert browser.post(asked["sponsor"], {"accept": "yes"})["Location"] == "/agents/research-bot/"
    assert browser.post(asked["backup"], {"decline": "yes"}).status_code == 422
    assert browser.post(asked["backup"], {"decline": "yes", "reason": "Too much."}).status_code == 302
    company.bot.refresh_from_db()
    assert (company.bot.sponsor, company.bot.backup) == (company.mona, None)
    assert "You are proposed as" not in visits.text(browser.get("/"))


def test_its_owner_names_no_other_sponsor(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    assert "Transfer ownership" not in visits.text(browser.get("/agents/research-bot/edit/"))
    form = {"sponsor": "mallory", "owner": "otto", "reason": "x"}
    assert browser.post("/agents/research-bot/people/", form).status_code == 403
    company.bot.refresh_from_db()
    assert company.bot.sponsor == company.sofia


def _secret(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found
    return found[1]


def test_a_secret_is_shown_in_the_one_answer_that_makes_it(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    shown = _secret(visits.text(browser.post(f"{CLIENTS}add/", CLIENT)))
    made = Client.objects.get(client_id="travel-desk")
    assert made.secret_sha256 == clients.secret_digest(shown)
    assert shown not in visits.text(browser.get(f"{CLIENTS}travel-desk/"))


def test_rotating_kills_the_secret_before_it_and_needs_a_reason(company: companies.Company) -> None:
    made, before = make.client(company.bot, "desk", auth="client_secret_basic")
    browser = visits.as_(company.otto)
    assert browser.post(f"{CLIENTS}desk/", {"verb": "rotate"}).status_code == 422
    shown = _secret(visits.text(browser.post(f"{CLIENTS}desk/", {"verb": "rotate", "reason": "It was in a log."})))
    made.refresh_from_db()
    assert made.secret_sha256 == clients.secret_digest(shown) != clients.secret_digest(before)
    assert timeline.about("client:desk").filter(action=Action.CLIENT_SECRET_ROTATED).count() == 1


def test_who_is_not_responsible_sees_the_secret_once_and_it_waits_for_acceptance(company: companies.Company) -> None:
    browser, sofia = visits.as_(company.ana), visits.as_(company.sofia)
    assert "It works once one of these people accepts it: Sofia, Otto." in visits.text(browser.get(f"{CLIENTS}add/"))
    page = visits.text(browser.post(f"{CLIENTS}add/", CLIENT))
    waiting = ClientCredential.objects.get()
    address = f"/client-credentials/{waiting.pk}/"
    assert waiting.secret_sha256 == clients.secret_digest(_secret(page))
    assert not Client.objects.exists()
    seen = (browser.get(address), browser.get("/agents/research-bot/?tab=tokens"), sofia.get("/"), sofia.get(address))
    for shown in map(visits.text, seen):
        assert "travel-desk" in shown
        assert address in shown or "It can be accepted by: Sofia, Otto" in " ".join(shown.split())
        assert _secret(page) not in shown
    assert browser.post(address, {"accept": "yes"}).status_code == 403
    assert visits.as_(company.mallory).get(address).status_code == 404
    assert sofia.post(address, {"accept": "yes"})["Location"] == f"{CLIENTS}travel-desk/"
    assert Client.objects.get().secret_sha256 == waiting.secret_sha256
    assert address not in visits.text(sofia.get("/"))
    assert "credential_already_answered" in visits.text(visits.as_(company.otto).post(address, {"accept": "yes"}))


def test_a_secret_that_waits_is_said_on_the_page_of_its_client_and_can_be_refused(company: companies.Company) -> None:
    _, before = make.client(company.bot, "desk", auth="client_secret_basic")
    browser = visits.as_(company.ana)
    page = visits.text(browser.post(f"{CLIENTS}desk/", {"verb": "rotate", "reason": "It was in a log."}))
    address = f"/client-credentials/{ClientCredential.objects.get(state='waiting').pk}/"
    assert "The current secret works until then" in page
    assert address in visits.text(browser.get(f"{CLIENTS}desk/"))
    otto = visits.as_(company.otto)
    assert otto.post(address, {"refuse": "yes"}).status_code == 422
    assert otto.post(address, {"refuse": "yes", "reason": "I know of no log."}).status_code == 302
    assert "I know of no log." in visits.text(browser.get(address))
    assert Client.objects.get().secret_sha256 == clients.secret_digest(before)


def test_a_client_with_keys_of_its_own_has_no_secret_to_rotate(company: companies.Company) -> None:
    make.client(company.bot, "desk")
    response = visits.as_(company.ana).post(f"{CLIENTS}desk/", {"verb": "rotate", "reason": "x"})
    assert response.status_code == 409
    assert "client_has_no_secret" in visits.text(response)


def test_a_client_is_registered_by_its_public_keys(company: companies.Company) -> None:
    form = {"client_id": "desk", "auth": "private_key_jwt", "jwks": json.dumps({"keys": [PUBLIC]})}
    response = visits.as_(company.sofia).post(f"{CLIENTS}add/", form)
    assert response["Location"] == f"{CLIENTS}desk/"
    assert Client.objects.get(client_id="desk").jwks == {"keys": [PUBLIC]}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"auth": "private_key_jwt"}, "invalid"),
        ({"auth": "private_key_jwt", "jwks": "not json"}, "invalid"),
        ({"auth": "private_key_jwt", "jwks": json.dumps({"keys": [{**PUBLIC, "d": "AA"}]})}, "private_key_given"),
        ({"auth": "private_key_jwt", "jwks": json.dumps({"keys": [{**PUBLIC, "alg": "RS256"}]})}, "bad_key"),
        ({"auth": "client_secret_basic", "jwks": json.dumps({"keys": [PUBLIC]})}, "invalid"),
        ({"auth": "none"}, "required"),
        ({"auth": "none", "redirect_uris": "nowhere"}, "invalid"),
        ({"client_id": "taken"}, "client_id_taken"),
        ({"client_id": "../x"}, "invalid"),
        ({"client_id": "add"}, "invalid"),
    ],
)
def test_what_is_wrong_with_a_client_is_said_beside_the_field(
    company: companies.Company, given: dict[str, Any], code: str
) -> None:
    make.client(company.bot, "taken")
    response = visits.as_(company.ana).post(f"{CLIENTS}add/", {**CLIENT, **given})
    page = visits.text(response)
    assert response.status_code in (409, 422)
    assert f"<code>{code}</code>" in page
    assert 'aria-invalid="true"' in page
    assert Client.objects.count() == 1


def test_a_stopped_client_is_started_again_by_an_analyst_and_by_no_owner(company: companies.Company) -> None:
    made, _ = make.client(company.bot, "desk")
    clients.disable(made, by=company.resa.principal, reason="Leaked.")
    form = {"verb": "enable", "reason": "Cleaned."}
    assert visits.as_(company.otto).post(f"{CLIENTS}desk/", form).status_code == 403
    assert visits.as_(company.ana).post(f"{CLIENTS}desk/", form).status_code == 302
    made.refresh_from_db()
    assert made.status == "active"


def test_a_client_is_found_under_its_own_agent_alone(company: companies.Company) -> None:
    make.client(make.agent("other"), "theirs")
    assert visits.as_(company.ana).get(f"{CLIENTS}theirs/").status_code == 404
