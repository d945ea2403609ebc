"""Who comes in: every page asks, what is not yours is not there, sessions end, nobody is led astray."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver

from audit import clock
from audit.models import Event
from entitlements import people, sealing
from entitlements.models import ApiToken, Guardrail, Role
from governance.console import middleware, signin, urls
from tests import make
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

SOMETHING = str(uuid4())
# Every page with an example of its address. `whose`: who of the company finds something there, the rest get 404.
OPEN = "everybody"
PAGES = {
    "home": ("/", OPEN),
    "theme": ("/settings/theme/", OPEN),
    "search": ("/search/?q=bot", OPEN),
    "audit": ("/audit/", OPEN),
    "request-list": ("/requests/", OPEN),
    "ask": ("/requests/new/", OPEN),
    "request-page": ("/requests/{request}/", "ana otto sofia sam resa rob alice"),
    "agent-list": ("/agents/", OPEN),
    "agent-add": ("/agents/add/", "ana"),
    "agent-edit": ("/agents/research-bot/edit/", "ana otto"),
    "agent-people": ("/agents/research-bot/people/", OPEN),
    "client-add": ("/agents/research-bot/clients/add/", "ana"),
    "client-page": ("/agents/research-bot/clients/{client}/", "ana otto sofia resa rob"),
    "agent-page": ("/agents/research-bot/", "ana otto sofia resa rob"),
    "agent-start": ("/agents/research-bot/restore/", OPEN),
    "my-agents": ("/my-agents/", OPEN),
    "review-list": ("/reviews/", OPEN),
    "review-new": ("/reviews/new/", "ana"),
    "review-page": ("/reviews/nothing/", ""),
    "review-activate": ("/reviews/nothing/activate/", OPEN),
    "review-close": ("/reviews/nothing/close/", OPEN),
    "review-work": ("/reviews/nothing/work/", ""),
    "review-submit": ("/reviews/nothing/submit/", ""),
    "review-draft": (f"/reviews/nothing/items/{SOMETHING}/draft/", OPEN),
    "review-reassign": (f"/reviews/nothing/items/{SOMETHING}/reassign/", OPEN),
    "review-evidence": ("/reviews/nothing/evidence/", ""),
    "review-csv": ("/reviews/nothing/evidence.csv", ""),
    "review-json": ("/reviews/nothing/evidence.json", ""),
    "end-session": (f"/sessions/{SOMETHING}/end/", OPEN),
    "grant-list": ("/grants/", OPEN),
    "grant-page": ("/grants/{grant}/", "ana otto sofia sam resa rob alice"),
    "grant-pause": ("/grants/{grant}/pause/", OPEN),
    "grant-resume": ("/grants/{grant}/resume/", OPEN),
    "system-list": ("/systems/", OPEN),
    "system-add": ("/systems/add/", "ana"),
    "system-edit": ("/systems/clock/edit/", "ana sam"),
    "system-secret-set": ("/systems/clock/secret/", OPEN),
    "entitlement-add": ("/systems/clock/entitlements/add/", "ana sam"),
    "entitlement-edit": ("/systems/clock/entitlements/clock:use/", "ana sam"),
    "system-page": ("/systems/clock/", "ana otto sofia sam resa rob"),
    "approve-easy": ("/systems/clock/approve/", OPEN),
    "discover": ("/systems/clock/discover/", OPEN),
    "system-start": ("/systems/clock/start/", OPEN),
    "tool-page": ("/systems/clock/tools/now/", "ana otto sofia sam resa rob"),
    "stops": ("/stop/", OPEN),
    "start-again": ("/stop/start-again/", OPEN),
    "receipt": (f"/stop/receipts/{SOMETHING}/", ""),
    "stop-everything": ("/stop/everything/", "ana resa rob"),
    "stop": ("/stop/agent/research-bot/", "ana otto sofia resa rob"),
    "connect": ("/connect/", OPEN),
    "connect-light": ("/connect/light/nobody/", ""),
    "settings": ("/settings/", OPEN),
    "make-token": ("/settings/tokens/", OPEN),
    "end-token": ("/settings/tokens/1/end/", OPEN),
    "people-list": ("/people/", "ana resa rob"),
    "person-add": ("/people/add/", OPEN),
    "person-page": ("/people/bob/", "ana resa rob bob"),
    "person-start": ("/people/bob/enable/", OPEN),
}
CHANGES = {
    "theme",
    "review-activate",
    "review-close",
    "review-draft",
    "review-reassign",
    "agent-people",
    "agent-start",
    "end-session",
    "grant-pause",
    "grant-resume",
    "approve-easy",
    "discover",
    "system-start",
    "system-secret-set",
    "start-again",
    "make-token",
    "end-token",
    "person-add",
    "person-start",
}
"""Addresses that only take a form; looking at them is 405."""


def _named(patterns: list[URLPattern | URLResolver]) -> set[str]:
    own = [each for each in patterns if each not in urls.SIGN_IN]
    return {str(each.name) for each in own if isinstance(each, URLPattern)}


def test_every_page_has_its_row_in_the_matrix_of_these_tests() -> None:
    assert _named(urls.urlpatterns) == PAGES.keys()


@pytest.fixture
def company() -> companies.Company:
    return companies.found()


@pytest.fixture
def addresses(company: companies.Company) -> dict[str, str]:
    asked = company.ask("wipe")
    granted = make.grant(company.bot, make.entitlement(company.system), people=[company.alice])
    client, _ = make.client(company.bot)
    keys = {"request": asked.pk, "grant": granted.pk, "client": client.client_id}
    return {name: path.format(**keys) for name, (path, _) in PAGES.items()}


def test_a_stranger_is_sent_to_sign_in_from_every_page(addresses: dict[str, str]) -> None:
    for path in addresses.values():
        response = Client().get(path)
        assert response.status_code == 302, path
        assert response["Location"].startswith("/login/?next=/"), path


def test_each_page_is_there_for_those_it_concerns_and_for_nobody_else(
    company: companies.Company, addresses: dict[str, str]
) -> None:
    everybody = ["ana", "otto", "sofia", "sam", "resa", "rob", "mona", "alice", "bob", "mallory"]
    for login in everybody:
        browser = visits.as_(company.named(login))
        for name, (_, whose) in PAGES.items():
            status = browser.get(addresses[name]).status_code
            if name in CHANGES:
                assert status == 405, name
            elif whose == OPEN or login in whose.split():
                assert status == 200, (login, name)
            else:
                assert status in (403, 404), (login, name)


def test_what_is_not_yours_looks_exactly_like_what_does_not_exist(company: companies.Company) -> None:
    browser = visits.as_(company.mallory)
    hidden, absent = browser.get("/agents/research-bot/"), browser.get("/agents/no-such-bot/")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert visits.text(hidden).split("Code:")[1] == visits.text(absent).split("Code:")[1]


def test_a_disabled_person_is_a_stranger_from_the_next_click_on(company: companies.Company) -> None:
    browser = visits.as_(company.ana)
    assert browser.get("/agents/").status_code == 200
    people.disable(company.ana, by=company.resa.principal, reason="left")
    assert browser.get("/agents/").status_code == 302


@pytest.mark.parametrize(
    ("away", "began", "status"),
    [(3599, 3600, 200), (3601, 3700, 302), (5, 12 * 3600 - 60, 200), (5, 12 * 3600 + 1, 302)],
)
def test_a_session_ends_after_an_hour_away_and_after_twelve_hours_at_all(away: int, began: int, status: int) -> None:
    browser = visits.as_(make.analyst())
    session, now = browser.session, int(clock.now().timestamp())
    session[middleware.SEEN], session[middleware.BEGAN] = now - away, now - began
    session.save()
    assert browser.get("/").status_code == status


def test_what_a_page_asks_by_itself_does_not_keep_a_session_awake(
    at: Callable[[timedelta], object],
) -> None:
    browser = visits.as_(make.analyst())
    browser.get("/")
    for _ in range(8):
        at(timedelta(minutes=10))
        browser.get("/search/?q=x", headers={"HX-Polled": "true"})
    assert browser.get("/").status_code == 302


def test_private_pages_are_never_stored(company: companies.Company) -> None:
    assert visits.as_(company.ana).get("/agents/")["Cache-Control"] == "no-store"


def test_the_policy_allows_no_inline_code_and_no_eval(company: companies.Company) -> None:
    policy = visits.as_(company.ana).get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_no_page_has_inline_styles_or_handlers() -> None:
    found = [
        f"{path}: {word}"
        for path in (settings.BASE_DIR / "templates").rglob("*.html")
        for word in (" style=", "<style", " onclick=", " onload=", "javascript:", "hx-on")
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_site(elsewhere: str) -> None:
    make.person("carol", password="correct horse battery staple")
    form = {"login": "carol", "password": "correct horse battery staple", "next": elsewhere}
    response = Client().post("/login/", form)
    assert (response.status_code, response["Location"]) == (302, "/")


def test_signing_in_goes_on_to_the_page_that_asked_for_it_and_is_recorded() -> None:
    make.person("carol", password="correct horse battery staple")
    onward = "/idp/authorize?client_id=x&response_type=code"
    form = {"login": "carol", "password": "correct horse battery staple", "next": onward}
    response = Client().post("/login/", form)
    assert response["Location"] == onward
    assert Event.objects.filter(action="person.signed_in", links__contains=["person:carol"]).count() == 1


def test_signing_in_gives_the_session_a_new_name() -> None:
    make.person("carol", password="correct horse battery staple")
    browser = Client()
    browser.get("/login/")
    browser.cookies[settings.SESSION_COOKIE_NAME] = "planted"
    browser.post("/login/", {"login": "carol", "password": "correct horse battery staple"})
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value != "planted"


def test_a_disabled_person_cannot_sign_in() -> None:
    carol = make.person("carol", password="correct horse battery staple")
    people.disable(carol, by=make.analyst().principal, reason="left")
    browser = Client()
    browser.post("/login/", {"login": "carol", "password": "correct horse battery staple"})
    assert browser.get("/").status_code == 302


@pytest.mark.parametrize("path", ["/signup/", "/login/signup/", "/accounts/signup/", "/password/reset/"])
def test_nobody_registers_themselves(path: str) -> None:
    assert Client().get(path).status_code == 404


def test_a_form_from_elsewhere_changes_nothing_and_says_so(company: companies.Company) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(company.ana)
    response = browser.post("/stop/agent/research-bot/", {"reason": "x"})
    assert response.status_code == 403
    assert "csrf_failed" in visits.text(response)
    company.bot.refresh_from_db()
    assert company.bot.status == "active"


def test_an_unknown_address_of_the_api_answers_machines_in_their_own_words() -> None:
    response = Client().get("/api/v1/nothing")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_secrets_of_second_factors_are_sealed_at_rest() -> None:
    adapter = signin.SecondFactor()
    kept = adapter.encrypt("JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in kept
    assert adapter.decrypt(kept) == "JBSWY3DPEHPK3PXP"
    with pytest.raises(sealing.SealBroken):
        adapter.decrypt(kept[:-8] + "AAAAAAA=")


def test_a_host_that_we_do_not_know_gets_no_page(company: companies.Company) -> None:
    assert visits.as_(company.ana).get("/", headers={"host": "evil.example"}).status_code == 400


def test_no_page_can_be_framed(company: companies.Company) -> None:
    response = visits.as_(company.ana).get("/")
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/stop/everything/", "/settings/tokens/"])
def test_an_old_sign_in_is_no_proof_for_what_weighs_most(path: str) -> None:
    browser = visits.as_(make.person("resa", roles=[Role.SECURITY], password="correct horse battery staple"))
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 301}]
    session.save()
    form = {"reason": "drill", "typed": "everything", "label": "script", "lasts": "7"}
    response = browser.post(path, form)
    assert response["Location"].startswith("/login/again/")
    assert not Guardrail.objects.filter(on=True).exists()
    assert not ApiToken.objects.exists()
