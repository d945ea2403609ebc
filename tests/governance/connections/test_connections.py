"""Each person sees what is connected as them, and ends it: exactly their own, and no admin role is needed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client as Browser

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients.models import Client
from entitlements.people.models import Person
from entitlements.revocation.models import Revocation
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.words import LONGEST_CLIENT_ID
from tests import begun, make
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
HERE = "192.0.2.7"


@pytest.fixture
def company() -> Company:
    return companies.found()


@pytest.fixture
def desk(company: Company) -> Client:
    client, _ = make.client(company.bot, "desk-client", auth=Client.Auth.NONE)
    return make.rewrite(client, name="Desk client")


def session(client: Client, person: Person) -> Session:
    with transaction.atomic():
        made, _ = begun.begin(client, person, uuid.uuid4().hex * 2, auth_time=None, now=clock.now())
    return made


def family(client: Client, person: Person, company: Company) -> TokenFamily:
    made = make.token_family(session(client, person), company.use.system)
    TokenFamily.objects.filter(pk=made.pk).update(last_used_from=HERE)
    return made


def shown(browser: Browser, address: str = "/connections/") -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.content
    return visits.text(answer)


def test_a_person_without_roles_sees_each_client_with_where_it_was_used_from(company: Company, desk: Client) -> None:
    mallory = company.mallory
    family(desk, mallory, company)
    by_company, _ = make.client(company.bot, "sso-client")
    alone = session(by_company, mallory)
    family(desk, company.alice, company)

    page = shown(visits.as_(mallory))

    assert page.count(HERE) == 1
    for word in (
        "Desk client",
        "claimed name",
        "proven identity",
        "company sign-in",
        company.use.system.name,
        company.bot.name,
    ):
        assert word in page
    assert page.count('name="end" value="token_family:') == 1
    assert f"session:{alone.pk}" in page


@pytest.mark.django_db(transaction=True)
def test_a_person_without_roles_ends_their_own_and_an_analyst_anothers_with_a_reason(
    company: Company, desk: Client
) -> None:
    mallory, alice = visits.as_(company.mallory), company.alice
    alices, alone = family(desk, alice, company), session(make.client(company.bot, "sso-client")[0], company.mallory)

    def end(ending: str, reason: str = "") -> Revocation:
        answer = mallory.post("/connections/", {"end": ending, "reason": reason})
        receipt = Revocation.objects.order_by("-committed_at")[0]
        assert answer["Location"] == f"/connections/?ended={receipt.pk}#ended"
        assert receipt.receipt
        assert "Ended everywhere" in shown(mallory, answer["Location"])
        assert shown(mallory, f"/stop/receipts/{receipt.pk}/")
        assert "Ended everywhere" not in shown(visits.as_(alice), answer["Location"])
        return receipt

    for ending in ("token_family", "client:desk-client", "everything"):
        mallorys = family(desk, company.mallory, company)
        receipt = end(f"{ending}:{mallorys.pk}" if ending == "token_family" else ending, "A lost laptop.")
        assert receipt.reason == "A lost laptop."
        assert TokenFamily.objects.get(pk=mallorys.pk).ended_at is not None
        assert (Session.objects.get(pk=alone.pk).ended_at is None) is (ending != "everything")
    another = session(desk, company.mallory)
    assert "themselves" in end(f"session:{another.pk}").reason
    assert Session.objects.get(pk=another.pk).ended_at is not None
    assert TokenFamily.objects.get(pk=alices.pk).ended_at is None

    ana, second = visits.as_(company.ana), family(desk, alice, company)
    for target, ended in ((f"token_family/{alices.pk}", alices), ("sign_ins/alice/desk-client", second)):
        assert ana.post(f"/stop/{target}/", {"reason": " "}).status_code == 422
        at = ana.post(f"/stop/{target}/", {"reason": "Odd."})["Location"]
        assert "Odd." in shown(ana, at)
        assert TokenFamily.objects.get(pk=ended.pk).end_reason == "Odd."
    assert "No client is connected as" in shown(ana, "/people/alice/connections/")
    assert shown(ana, "/stop/")


def test_the_page_says_which_gateways_have_not_answered(company: Company) -> None:
    by, now = str(company.mallory.principal), clock.now()
    row = Revocation.objects.create(
        target_type="sign_ins", target_id="mallory", reason="x", by=by, committed_at=now, receipt=""
    )
    browser, at = visits.as_(company.mallory), f"/connections/?ended={row.pk}"
    assert "have not answered yet" in shown(browser, at)
    silent = [{"node": "n2", "lease_lapsed_at": now.isoformat()}]
    Revocation.objects.update(missing=silent, receipt="a.b.c")
    assert "Not every gateway answered" in shown(browser, at)


def test_nothing_of_another_person_ends_here_not_even_by_an_analyst(company: Company, desk: Client) -> None:
    alices, alone = family(desk, company.alice, company), session(desk, company.alice)
    for who, found in ((company.mallory, 404), (company.ana, 404)):
        browser = visits.as_(who)
        for ending in (f"token_family:{alices.pk}", f"session:{alone.pk}"):
            assert browser.post("/connections/", {"end": ending}).status_code == found
        for ending in ("client:desk-client", "everything"):  # of theirs there is none
            assert browser.post("/connections/", {"end": ending}).status_code == 409
    assert not TokenFamily.objects.exclude(ended_at=None).exists()
    assert {code for _who, code in visits.refusals()} == {"not_found", "nothing_connected"}


@pytest.mark.parametrize("ending", ["", "client:", "person:alice", "grant:x", "connections:alice", "session:x"])
def test_what_the_page_does_not_offer_is_not_ended(company: Company, ending: str) -> None:
    answer = visits.as_(company.ana).post("/connections/", {"end": ending})
    assert answer.status_code == (404 if ending == "session:x" else 400)
    assert not Revocation.objects.exists()


def test_an_analyst_reaches_them_from_the_persons_page(company: Company, desk: Client) -> None:
    ana, first = visits.as_(company.ana), family(desk, company.alice, company)
    family(desk, company.alice, company)
    at = "/people/alice/connections/"
    assert f'href="{at}"' in shown(ana, "/people/alice/")
    page = shown(ana, at)
    assert HERE in page
    for target in (f"token_family/{first.pk}", "sign_ins/alice/desk-client", "sign_ins/alice"):
        assert f'href="/stop/{target}/' in page
        assert "Takes effect at once" in shown(ana, f"/stop/{target}/")


def test_who_has_no_role_finds_the_connections_of_no_other_person(company: Company, desk: Client) -> None:
    alices = family(desk, company.alice, company)
    mallory = visits.as_(company.mallory)
    for address in ("/people/alice/connections/", "/stop/sign_ins/alice/", f"/stop/token_family/{alices.pk}/"):
        assert mallory.get(address).status_code == 404
        assert mallory.post(address, {"reason": "x"}).status_code in (404, 405)
    assert "My connections" in shown(mallory, "/people/mallory/connections/")
    auditor = visits.as_(make.person(roles=["auditor"]))
    assert "/stop/token_family/" not in shown(auditor, "/people/alice/connections/")
    assert TokenFamily.objects.get().ended_at is None


def test_over_the_api_a_person_sees_and_ends_exactly_their_own(company: Company, desk: Client) -> None:
    mallorys, alices = family(desk, company.mallory, company), family(desk, company.alice, company)
    browser = visits.as_(company.mallory)

    def listed(who: Person) -> dict[str, str | None]:
        rows = visits.as_(who).get("/api/v1/token-families").json()["results"]
        return {row["id"]: row["last_used_from"] for row in rows}

    assert listed(company.mallory) == {str(mallorys.pk): HERE}
    assert listed(company.sofia) == {str(mallorys.pk): None, str(alices.pk): None}  # she answers for the agent
    assert listed(company.ana) == {str(mallorys.pk): HERE, str(alices.pk): HERE}
    for key, status in ((alices.pk, 404), (mallorys.pk, 200)):
        answer = browser.post(f"/api/v1/token-families/{key}/revoke", {"reason": "x"}, "application/json")
        assert answer.status_code == status
    again = family(desk, company.mallory, company)
    for target, status in (("alice", 404), ("mallory/other", 409), ("mallory/desk-client", 201)):
        asked = {"target": {"type": "sign_ins", "id": target}, "reason": "x", "wait": False}
        assert browser.post("/api/v1/revocations", asked, "application/json").status_code == status
    ended = dict(TokenFamily.objects.values_list("pk", "ended_at"))
    assert (ended[alices.pk], ended[again.pk] is None) == (None, False)


def test_a_sign_in_that_was_ended_is_still_shown_for_a_week_with_the_reason(company: Company, desk: Client) -> None:
    ended = family(desk, company.mallory, company)
    families.revoke(ended.pk, by=SYSTEM, reason="A refresh token was used again.")
    browser = visits.as_(company.mallory)
    assert "used again" in shown(browser)
    assert browser.get(f"/audit/?about=token_family:{ended.pk}").status_code == 200
    TokenFamily.objects.update(started_at=clock.now() - timedelta(days=9), ended_at=clock.now() - timedelta(days=8))
    assert "used again" not in shown(browser)


def test_people_find_the_page_by_what_they_call_it(company: Company) -> None:
    browser = visits.as_(company.mallory)
    for words in ("my connections", "connected apps", "sign-ins", "sessions"):
        assert "/connections/" in visits.text(browser.get("/search/", {"q": words}))
    assert 'href="/connections/"' in shown(browser, "/settings/")


def test_a_client_that_is_its_own_registration_is_ended_by_its_long_name(company: Company) -> None:
    long = f"reg.{'A' * (LONGEST_CLIENT_ID - 4)}"
    client, _ = make.client(company.bot, long, auth=Client.Auth.NONE)
    mallorys, person = family(client, company.mallory, company), company.mallory
    asked = {"target": {"type": "sign_ins", "id": f"mallory/{long}"}, "reason": "x", "wait": False}
    assert visits.as_(person).post("/api/v1/revocations", asked, "application/json").status_code == 201
    made = Revocation.objects.get(target_type="sign_ins")
    assert made.target_id == f"mallory/{long}"
    mallorys.refresh_from_db()
    assert mallorys.ended_at is not None
    committed = Event.objects.get(action="revocation.committed")
    assert {f"client:{long}", "person:mallory"} <= set(committed.links)
    assert visits.as_(person).get(f"/api/v1/revocations/{made.pk}").status_code == 200
