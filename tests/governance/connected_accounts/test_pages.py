"""The pages of connected accounts, with a real authorization server behind: one's own, and the owner's list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings

from audit.models import Event
from entitlements.clients.models import Client
from entitlements.connected_accounts import accounts
from entitlements.connected_accounts.models import ConnectedAccount
from governance.notices import listener
from governance.notices.models import Notice
from tests import make
from tests.entitlements.api import client as api
from tests.entitlements.connected_accounts import worlds
from tests.entitlements.connected_accounts.account_server import AccountServer
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = [pytest.mark.loopback, pytest.mark.django_db]
PAGE = "/connected-accounts/clock/"


@pytest.fixture(scope="module")
def server() -> Iterator[AccountServer]:
    with worlds.vendor() as running:
        yield running


@pytest.fixture
def company(settings: Settings, server: AccountServer) -> Company:
    settings.DEMO = True
    made = companies.found()
    worlds.register(made.system, server)
    make.grant(made.bot, made.use, people=[made.alice])
    return made


@pytest.fixture
def desk(company: Company) -> Client:
    client, _ = make.client(company.bot, "desk-client", auth=Client.Auth.NONE)
    return make.rewrite(client, name="Desk client")


def choice(client: Client) -> str:
    return f"{client.pk}:{client.agent_id}"


def leave(browser: Browser, client: Client) -> str:
    """Choose a client and go; returns the address of the authorization server that the page leads to."""
    answer = browser.post(PAGE, {"verb": "connect", "client": choice(client)})
    assert answer.status_code == 200, visits.text(answer)
    found = re.search(r'class="button primary" href="([^"]+)"', visits.text(answer))
    assert found is not None
    return unescape(found[1])


def come_back(browser: Browser, back: str) -> int:
    split = urlsplit(back)
    return browser.get(f"{split.path}?{split.query}").status_code


def test_a_person_connects_changes_who_may_and_disconnects(
    company: Company, desk: Client, server: AccountServer
) -> None:
    browser = visits.as_(company.alice)
    page = visits.text(browser.get(PAGE))
    assert "each call of your agents to this system is denied" in page
    assert "claimed name" in page
    assert "checked" not in page
    assert browser.post(PAGE, {"verb": "connect"}).status_code == 422
    assert come_back(browser, server.authorize(leave(browser, desk))) == 302
    page = visits.text(browser.get(PAGE))
    assert "is connected" in page
    assert server.issuer in page
    mine = visits.text(browser.get("/connections/"))
    assert "Connected accounts" in mine
    assert "desk-client" in mine
    other, _ = make.client(company.bot, "other-client")
    assert browser.post(PAGE, {"verb": "save", "client": choice(other)}).status_code == 302
    account = ConnectedAccount.objects.get()
    assert [each.client.client_id for each in account.consents.all()] == ["other-client"]
    assert browser.post(f"/connected-accounts/{account.pk}/end/", {}).status_code == 422
    assert browser.post(f"/connected-accounts/{account.pk}/end/", {"reason": "Over."}).status_code == 302
    account.refresh_from_db()
    assert (account.state, account.end_reason) == ("ended", "Over.")
    assert "Its tokens are being revoked" in visits.text(browser.get(PAGE))
    held = [page, mine, *(str(event.body) for event in Event.objects.all())]
    assert not any(secret in text for text in held for secret in server.secrets)


def test_an_answer_in_another_browser_of_the_person_or_of_another_person_is_refused_and_recorded(
    company: Company, desk: Client, server: AccountServer
) -> None:
    back = server.authorize(leave(visits.as_(company.alice), desk))
    assert come_back(visits.as_(company.alice), back) == 403
    back = server.authorize(leave(visits.as_(company.alice), desk))
    assert come_back(visits.as_(company.bob), back) == 403
    assert not ConnectedAccount.objects.exists()
    refused = [("person:alice", "account_sign_in_mismatch"), ("person:bob", "account_sign_in_mismatch")]
    assert visits.refusals() == refused
    assert Browser().get(urlsplit(back).path).status_code == 302, "a stranger signs in first"


def test_who_has_no_agent_there_finds_no_page(company: Company) -> None:
    assert visits.as_(company.bob).get(PAGE).status_code == 404
    assert visits.as_(company.ana).get(PAGE).status_code == 404
    assert visits.as_(company.alice).post(PAGE, {"verb": "save"}).status_code == 400


def test_an_owner_sees_and_ends_the_accounts_at_their_system_and_others_do_not(company: Company, desk: Client) -> None:
    account = make.connected_account(company.alice, company.system, desk)
    page = visits.text(visits.as_(company.sam).get("/systems/clock/connected-accounts/"))
    assert company.alice.name in page
    assert visits.as_(company.bob).get("/systems/clock/connected-accounts/").status_code == 404
    for person, seen in ((company.alice, 1), (company.sam, 1), (company.ana, 1), (company.bob, 0)):
        listed = api.of(person).get("/api/v1/connected-accounts").json()["results"]
        assert [each["id"] for each in listed] == [str(account.pk)] * seen
        assert not any(name in each for each in listed for name in ("sealed", "version", "claim"))
    assert api.of(company.bob).post(f"/api/v1/connected-accounts/{account.pk}/end", {"reason": "x"}).status_code == 404
    ended = api.of(company.sam).post(f"/api/v1/connected-accounts/{account.pk}/end", {"reason": "Leak."})
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    again = api.of(company.ana).post(f"/api/v1/connected-accounts/{account.pk}/end", {"reason": "Leak."})
    assert (again.status_code, again.json()["code"]) == (409, "account_ended")


def test_the_person_is_told_that_an_account_is_broken(company: Company, desk: Client) -> None:
    account = make.connected_account(company.alice, company.system, desk)
    ConnectedAccount.objects.update(refused_at=account.connected_at)
    assert accounts.end_refused() == 1
    listener.notify(Event.objects.get(action="connected_account.broken"))
    told = Notice.objects.get(person=company.alice)
    assert (told.url, company.system.name in told.sentence) == (PAGE, True)
    assert "Broken" in visits.text(visits.as_(company.alice).get(PAGE))
