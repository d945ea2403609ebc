"""Who comes in: every page asks, what is not yours is not there, sessions end, nobody is led astray."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client

from audit import clock
from audit.models import Event
from entitlements.gateway.models import Guardrail
from entitlements.people import people
from entitlements.people.models import ApiToken, Role
from entitlements.secrets import seal
from governance.console import middleware
from governance.sign_in import allauth_adapter
from tests import make, shared
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


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
    adapter = allauth_adapter.SecondFactor()
    kept = adapter.encrypt("JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in kept
    assert adapter.decrypt(kept) == "JBSWY3DPEHPK3PXP"
    with pytest.raises(seal.SealBroken):
        adapter.decrypt(kept[:-8] + "AAAAAAA=")


def test_a_host_that_we_do_not_know_gets_no_page(company: companies.Company) -> None:
    assert visits.as_(company.ana).get("/", headers={"host": "evil.example"}).status_code == 400


def test_no_page_can_be_framed(company: companies.Company) -> None:
    response = visits.as_(company.ana).get("/")
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/stop/everything/", "/settings/tokens/"])
def test_an_old_sign_in_is_no_proof_for_what_weighs_most(path: str) -> None:
    browser = visits.as_(make.person("rita", roles=[Role.SECURITY], password="correct horse battery staple"))
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 301}]
    session.save()
    form = {"reason": "drill", "typed": "everything", "label": "script", "lasts": "7"}
    response = browser.post(path, form)
    assert response["Location"].startswith("/login/again/")
    assert not Guardrail.objects.filter(on=True).exists()
    assert not ApiToken.objects.exists()
