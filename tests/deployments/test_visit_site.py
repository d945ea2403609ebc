"""The visit stands around the product and is no part of it; its ticks follow the record."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import Resolver404, resolve
from pytest_django.fixtures import Settings

from audit.actions import Action
from audit.models import Event
from entitlements.people import people
from governance.requests.models import AccessRequest
from scripts.demo.site import strip
from scripts.demo.story.visit import Visit
from tests import make
from tests.governance import companies
from tests.governance.console import visits

VISIT = Visit(began="2026-01-01T00:00:00+00:00", request="one", review="visit-1")
AGENT, GRANT = "agent:travel-bot", "grant:given"
GIVEN = (Action.APPROVAL_GIVEN, "request:one", GRANT)
STOP, SETTLED = (Action.REVOCATION_COMMITTED, "revocation:r", GRANT), (Action.REVOCATION_SETTLED, "revocation:r")
REFUSED = (Action.CALL_DENIED, AGENT)


@pytest.fixture
def company(settings: Settings) -> companies.Company:
    """A company whose console has the visit's addresses, and one of whose people has a card."""
    settings.ROOT_URLCONF = "scripts.demo.site.urls"
    return companies.found()


def approve_what_weighs_much(browser: Client, company: companies.Company) -> tuple[str, str]:
    """Approve a request of high risk; return what the sponsor's stage says then, and where the answer leads."""
    asked = company.ask("now", "remove")
    form = {"verb": "approve", "version": asked.version, "tool": ["now", "remove"]}
    answer = browser.post(f"/requests/{asked.pk}/", form)
    return asked.approvals.get(stage="sponsor").answer, answer["Location"]


def seen(*happened: tuple[str, ...]) -> list[int]:
    """Return the numbers of the steps that are ticked after this."""
    found = strip.Progress()
    for action, *links in happened:
        found.take(Event(action=action, links=[*links, "person:ana"], body=json.dumps({"links": links})), VISIT)
    return [step.number for step in strip.steps(VISIT, found) if step.done]


@pytest.mark.parametrize(
    "address", ["/visit/sign-in/", "/visit/again/", "/visit/call/", "/visit/verify/", "/visit/reset/"]
)
def test_the_product_has_none_of_the_visit_s_addresses(address: str) -> None:
    with pytest.raises(Resolver404):
        resolve(address)
    assert Client().post(address, {"person": "sofia"}).status_code == 404
    assert resolve(address, urlconf="scripts.demo.site.urls").func.__module__ == "scripts.demo.site.views"


@pytest.mark.django_db
def test_the_product_s_own_sign_in_knows_no_cards() -> None:
    page = Client().get("/login/").content.decode()
    assert "/visit/" not in page
    assert 'name="password"' in page


@pytest.mark.parametrize(("console", "demo"), [("https://mandate.example", "1"), ("https://localhost", "")])
def test_the_visit_refuses_to_stand_anywhere_but_in_a_demo_on_this_machine(console: str, demo: str) -> None:
    environment = {**os.environ, "CONSOLE_URL": console, "GATEWAY_URL": console, "DEMO": demo}
    command = [sys.executable, "-c", "import scripts.demo.site.settings"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert re.search("(DEMO|demo).* this machine alone", ran.stderr)


@pytest.mark.django_db
def test_a_card_begins_a_session_of_its_own_that_counts_as_just_proven(company: companies.Company) -> None:
    browser = visits.as_(company.otto)
    before = browser.session.session_key
    answer = browser.post("/visit/sign-in/", {"person": "sofia", "next": "/requests/"})

    assert answer["Location"] == "/requests/"
    assert browser.session.session_key != before
    assert Event.objects.filter(action=Action.PERSON_SIGNED_IN, links__contains=["person:sofia"]).count() == 1
    assert approve_what_weighs_much(browser, company)[0] == "approved"


@pytest.mark.django_db
@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/visit/call/"])
def test_a_card_leads_to_a_page_of_ours(company: companies.Company, elsewhere: str) -> None:  # noqa: ARG001
    assert Client().post("/visit/sign-in/", {"person": "sofia", "next": elsewhere})["Location"] == "/"


@pytest.mark.django_db
def test_nobody_without_a_card_and_nobody_who_left_is_signed_in(company: companies.Company) -> None:
    make.person("eve")
    people.disable(company.sofia, by=company.ana.principal, reason="Left.")
    for login in ("eve", "sofia", "nobody", ""):
        browser = Client()
        assert browser.post("/visit/sign-in/", {"person": login})["Location"] == "/login/"
        assert not browser.session.get("_auth_user_id")


@pytest.mark.django_db
def test_a_stale_card_is_shown_again_and_the_form_goes_on(company: companies.Company) -> None:
    company.sofia.set_password("correct horse battery staple")
    company.sofia.save()
    browser = visits.as_(company.sofia, fresh=False)
    answer, where = approve_what_weighs_much(browser, company)
    assert answer == "waiting"
    assert where.startswith("/login/again/")

    browser.post("/visit/again/", {"next": parse_qs(urlsplit(where).query)["next"][0]})

    assert AccessRequest.objects.get().approvals.get(stage="sponsor").answer == "approved"


def test_each_step_is_ticked_by_its_own_event() -> None:
    assert seen() == []
    assert seen(GIVEN) == [1]
    assert seen(GIVEN, (Action.CALL_ALLOWED, AGENT)) == [1, 2]
    assert seen(GIVEN, STOP) == [1], "without its receipt a stop has not been seen"
    assert seen(GIVEN, STOP, SETTLED) == [1, 3]
    assert seen(GIVEN, STOP, SETTLED, REFUSED) == [1, 3, 4]
    assert seen((Action.REVIEW_DECIDED, "campaign:visit-1")) == [5]
    assert seen((Action.AUDIT_LOG_EXPORTED,)) == [6]


def test_what_concerns_others_ticks_nothing() -> None:
    other = (Action.REVOCATION_COMMITTED, "revocation:r", f"grant:{uuid4()}")
    assert seen((Action.APPROVAL_GIVEN, "request:two", "grant:other")) == []
    assert seen((Action.APPROVAL_GIVEN, "request:one")) == [], "an approval that others must still join gives nothing"
    assert seen((Action.CALL_ALLOWED, "agent:build-bot")) == []
    assert seen(GIVEN, other, SETTLED) == [1]
    assert seen(GIVEN, REFUSED) == [1], "a denial before the stop is another one"
    assert seen((Action.REVIEW_DECIDED, "campaign:quarterly-review")) == []


def test_stopping_everything_counts_as_stopping_it() -> None:
    assert seen((Action.REVOCATION_COMMITTED, "revocation:r"), SETTLED) == [3]
