"""The set-up page: what it shows to whom, its tests that really test, its invitations, and the banner elsewhere."""

from __future__ import annotations

import re
import smtplib
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from pytest_django.fixtures import Settings

from audit import clock
from audit.models import Event
from entitlements.catalog.models import Tool
from entitlements.people.models import Person, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.upstream import egress, upstream
from governance.setup import setup
from governance.setup.models import Invitation, SetupCheck
from tests import make
from tests.governance import setups
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
DISCOVERY = {
    "issuer": setups.ISSUER,
    "authorization_endpoint": f"{setups.ISSUER}/authorize",
    "token_endpoint": f"{setups.ISSUER}/token",
    "jwks_uri": f"{setups.ISSUER}/jwks",
    "id_token_signing_alg_values_supported": ["ES256", "RS256"],
}
KEY = {
    "kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}  # fmt: skip
"""The public key of RFC 7517, appendix A.1."""


@pytest.fixture(autouse=True)
def _ask_for_the_set_up(settings: Settings) -> None:
    settings.SETUP_FIRST = True


@pytest.fixture
def ada() -> Person:
    return setups.admin("ada")


@pytest.fixture
def browser(ada: Person) -> Client:
    return proven(ada)


def proven(person: Person) -> Client:
    """Return a browser in which this administrator gave her second factor a moment ago."""
    client = visits.as_(person)
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": clock.now().timestamp()}]
    session.save()
    return client


def press(browser: Client, line: str) -> Any:  # noqa: ANN401
    return browser.post(f"/settings/setup/{line}/test/", follow=True)


def answers(monkeypatch: pytest.MonkeyPatch, **documents: object) -> None:
    """Let the company's provider answer with these documents."""
    told = {f"{setups.ISSUER}/.well-known/openid-configuration": DISCOVERY, f"{setups.ISSUER}/jwks": {"keys": [KEY]}}
    told |= {f"{setups.ISSUER}/{path}": document for path, document in documents.items()}

    def read(url: str, **_: object) -> object:
        document = told[url]
        if isinstance(document, Exception):
            raise document
        return document

    monkeypatch.setattr(egress, "read_json", read)


# ---------------------------------------------------------------------------------------------------- who sees what


def test_an_administrator_sees_every_line_with_its_state_and_a_test(browser: Client) -> None:
    said = visits.text(browser.get("/settings/setup/"))
    assert said.count("<h3>") == len(SetupCheck.Line) - 1
    assert "0 of 10 checks pass" in said
    assert said.count("/test/") == len(setup.TESTABLE)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.SECURITY, Role.AUDITOR])
def test_others_who_see_everything_see_the_state_and_no_button(role: str) -> None:
    said = visits.text(visits.as_(make.person("olga", roles=[role])).get("/settings/setup/")).partition("<main")[2]
    assert "Company sign-in" in said
    assert not re.search(r"/settings/setup/\w", said), "no test, and nothing else that one does"


@pytest.mark.usefixtures("ada")
def test_everybody_else_is_told_whom_to_ask() -> None:
    said = visits.text(visits.as_(make.person("mallory")).get("/settings/setup/"))
    assert "Ask one of them: Ada." in said
    assert "OIDC_ISSUER" not in said


@pytest.mark.parametrize("path", ["anchor/test", "backup/attest", "invite", "sign-in/link", "sign-in/trust"])
def test_only_administrators_act(path: str) -> None:
    answer = visits.as_(make.analyst()).post(f"/settings/setup/{path}/", {})
    assert answer.status_code == 403
    assert not SetupCheck.objects.exists()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("line", ["demo", "backup", "nothing"])
def test_what_has_no_test_is_not_there(browser: Client, line: str) -> None:
    assert browser.post(f"/settings/setup/{line}/test/").status_code == 404


# -------------------------------------------------------------------------------------------------------- the banner


def test_the_banner_is_on_every_page_of_those_who_can_do_something_about_it(browser: Client) -> None:
    for path in ("/", "/agents/", "/audit/"):
        said = visits.text(browser.get(path))
        assert "Set-up is not complete, so high-risk access is refused." in said
        assert "0 of 2 administrators" not in said
        assert "1 of 2 administrators have a second factor." in said
    analyst = visits.as_(make.analyst())
    assert "Continue set-up" in visits.text(analyst.get("/"))
    assert "Continue set-up" not in visits.text(visits.as_(make.person("mallory")).get("/"))
    assert "Continue set-up" not in visits.text(browser.get("/settings/setup/"))


@pytest.mark.django_db(transaction=True)
def test_the_banner_goes_with_the_last_line_and_comes_back_when_the_anchor_is_lost(settings: Settings) -> None:
    ada, _bea = setups.complete(settings)
    browser = visits.as_(ada)
    assert "Continue set-up" not in visits.text(browser.get("/"))
    setups.anchored("")
    assert "No checkpoint has reached the anchor yet." in visits.text(browser.get("/"))


# ---------------------------------------------------------------------------------------------------- company sign-in


def test_testing_the_sign_in_fetches_its_document_and_its_keys(
    browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OIDC_ISSUER = setups.ISSUER
    answers(monkeypatch)
    said = visits.text(press(browser, "sign_in"))
    assert "It answers, and its keys can be read (ES256)." in said
    assert "answers, and is not trusted yet" in said
    event = Event.objects.get(action="setup.tested")
    assert (event.outcome, event.actor, event.detail["line"]) == ("success", "person:ada", "sign_in")


@pytest.mark.parametrize(
    ("documents", "sentence"),
    [
        (
            {".well-known/openid-configuration": egress.Unreachable()},
            "The other side did not answer as expected. Try again later.",
        ),
        ({".well-known/openid-configuration": [1]}, "another one than OIDC_ISSUER"),
        ({".well-known/openid-configuration": {**DISCOVERY, "issuer": "https://evil.example"}}, "another one than"),
        ({".well-known/openid-configuration": {**DISCOVERY, "jwks_uri": "http://login.example.org/jwks"}}, "https://"),
        ({"jwks": {"keys": []}}, "None of its keys signs in a way that we accept."),
    ],
)
def test_a_sign_in_that_cannot_be_used_says_why(
    browser: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    documents: dict[str, object],
    sentence: str,
) -> None:
    settings.OIDC_ISSUER = setups.ISSUER
    answers(monkeypatch, **documents)
    press(browser, "sign_in")
    kept = SetupCheck.objects.get(line="sign_in")
    assert not kept.passed
    assert sentence in kept.sentence
    assert Event.objects.get(action="setup.tested").outcome == "failure"


def test_the_issuer_is_trusted_after_its_test_and_a_fresh_proof(
    ada: Person, browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OIDC_ISSUER = setups.ISSUER
    answers(monkeypatch)
    assert browser.post("/settings/setup/sign-in/trust/").status_code == 409
    press(browser, "sign_in")
    stale = visits.as_(ada, fresh=False)
    assert stale.post("/settings/setup/sign-in/trust/")["Location"].startswith("/settings/sign-in/reauthenticate/")
    assert not TrustedIssuer.objects.exists()
    browser.post("/settings/setup/sign-in/trust/")
    issuer = TrustedIssuer.objects.get()
    assert (issuer.issuer, issuer.purpose, issuer.algorithms) == (setups.ISSUER, "identity", ["ES256"])
    said = visits.text(browser.post("/settings/setup/sign-in/link/", follow=True))
    assert "/login/company/?next=/settings/setup/" in said


# ------------------------------------------------------------------------------------------------------ invitations


def invite(browser: Client, email: str = "bea@example.org", *roles: str) -> Any:  # noqa: ANN401
    return browser.post("/settings/setup/invite/", {"email": email, "role": roles or ["admin"]})


def test_a_second_administrator_comes_in_by_a_link_shown_once(browser: Client) -> None:
    said = visits.text(invite(browser))
    found = re.search(r"https?://[^/]+(/welcome/[\w-]{43}/)", said)
    assert found
    assert found[1] not in visits.text(browser.get("/settings/setup/"))
    bea = Client()
    bea.post(found[1], {"new_password": "correct horse battery staple", "again": "correct horse battery staple"})
    person = Person.objects.get(email="bea@example.org")
    assert list(person.roles.values_list("role", flat=True)) == ["admin"]
    assert bea.get("/")["Location"] == "/settings/sign-in/totp/activate/"
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
    assert "Passed" in visits.text(browser.get("/settings/setup/")).split('id="second_admin"')[1].split("</li>")[0]


def test_a_colleague_may_come_in_with_several_roles(browser: Client) -> None:
    invite(browser, "olga@example.org", "analyst", "security")
    person = Person.objects.get(email="olga@example.org")
    assert sorted(person.roles.values_list("role", flat=True)) == ["analyst", "security"]


def test_an_invitation_takes_over_nobodys_account(browser: Client) -> None:
    carol = make.person("carol", password="correct horse battery staple")
    dave = make.person("dave")
    for person in (carol, dave):
        answer = invite(browser, person.email)
        assert answer.status_code == 409
        assert not person.roles.exists()
    assert not Invitation.objects.exists()
    assert visits.refusals() == [("person:ada", "person_can_sign_in")] * 2


def test_whoever_was_invited_and_did_not_come_may_be_invited_again(browser: Client) -> None:
    invite(browser)
    invite(browser)
    assert Invitation.objects.filter(expires_at__gt=clock.now()).count() == 1
    assert Person.objects.filter(email="bea@example.org").count() == 1


@pytest.mark.parametrize(
    "form",
    [{"email": "x", "role": "admin"}, {"email": "x@example.org"}, {"email": "x@example.org", "role": "responder"}],
)
def test_a_malformed_invitation_invites_nobody(browser: Client, form: dict[str, str]) -> None:
    assert browser.post("/settings/setup/invite/", form).status_code == 400
    assert not Invitation.objects.exists()


def test_where_mail_works_the_link_is_mailed_and_not_shown(
    browser: Client, settings: Settings, mailoutbox: list[Any]
) -> None:
    mail(settings)
    press(browser, "mail")
    said = visits.text(
        browser.post("/settings/setup/invite/", {"email": "bea@example.org", "role": "admin"}, follow=True)
    )
    assert "was sent a link" in said
    assert "/welcome/" not in said
    assert "/welcome/" in mailoutbox[1].body


def test_inviting_needs_a_fresh_proof(ada: Person) -> None:
    answer = invite(visits.as_(ada, fresh=False))
    assert answer["Location"].startswith("/settings/sign-in/reauthenticate/")
    assert not Invitation.objects.exists()


# ------------------------------------------------------------------------------------------------- mail and backups


def mail(settings: Settings) -> None:
    """Configure a mail server, without one being there."""
    options = {"host": "mail.example", "port": 587}
    settings.MAILERS = {"default": {"BACKEND": "tests.governance.setups.Outbox", "OPTIONS": options}}
    settings.DEFAULT_FROM_EMAIL = "mandate@example.org"


def test_the_test_of_mail_sends_one_to_whoever_presses(
    browser: Client, settings: Settings, mailoutbox: list[Any]
) -> None:
    assert "MAIL_URL is not set" in visits.text(press(browser, "mail"))
    mail(settings)
    said = visits.text(press(browser, "mail"))
    assert "A message to ada@example.org was handed in." in said
    assert [message.to for message in mailoutbox] == [["ada@example.org"]]


def test_mail_that_is_refused_says_what_the_server_said(
    browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail(settings)

    def refuse(*_: object, **__: object) -> None:
        raise smtplib.SMTPRecipientsRefused({"ada@example.org": (550, b"no such user")})

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    assert "no such user" in visits.text(press(browser, "mail"))


def test_a_backup_is_attested_with_its_day_and_place_and_grows_old(browser: Client, at: Any) -> None:  # noqa: ANN401
    form = {"day": clock.now().date().isoformat(), "where": "s3://backups, key in the safe"}
    said = visits.text(browser.post("/settings/setup/backup/attest/", form, follow=True))
    assert "s3://backups, key in the safe" in said
    assert Event.objects.filter(action="setup.backup_attested").count() == 1
    assert setup.backup().is_green
    at(timedelta(days=93))
    assert setup.backup().word == "failed"


@pytest.mark.parametrize("day", ["2031-01-01", "2020-01-01"])
def test_a_backup_of_tomorrow_or_long_ago_is_none(browser: Client, day: str) -> None:
    form = {"day": day, "where": "a disk"}
    assert browser.post("/settings/setup/backup/attest/", form).status_code == 422
    assert not SetupCheck.objects.exists()


# ----------------------------------------------------------------------------------------------- the way to a call


def test_the_first_system_is_asked_again_whether_it_offers_what_was_approved(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = make.system("clock")
    tool = make.tool(system, "now")
    type(system).objects.filter(pk=system.pk).update(discovered_at=clock.now())
    assert tool.approved
    offered = [tool.approved.definition]

    async def discover(_: object) -> list[Any]:
        return offered

    monkeypatch.setattr(upstream, "discover", discover)
    assert "clock answers, and offers what was approved." in visits.text(press(browser, "system"))
    offered[0] = {**offered[0], "description": "Wipes it."}
    assert "no longer offers what was approved: now." in visits.text(press(browser, "system"))
    kept = SetupCheck.objects.get(line="system")
    assert (kept.passed, kept.since) == (False, None)
    assert Tool.objects.get().state == "approved"


def test_an_agent_whose_sponsor_left_does_not_pass(browser: Client) -> None:
    agent = make.agent("helper")
    make.client(agent)
    assert "are all in place" in visits.text(press(browser, "agent"))
    Person.objects.filter(pk=agent.sponsor_id).update(is_active=False, disabled_at=clock.now())
    assert "its sponsor has left" in visits.text(press(browser, "agent"))


@pytest.mark.parametrize("line", ["client", "call", "stop", "second_admin", "anchor"])
def test_what_did_not_happen_yet_fails_its_test_in_words(browser: Client, line: str) -> None:
    press(browser, line)
    kept = SetupCheck.objects.get(line=line)
    assert not kept.passed
    assert kept.sentence
    assert kept.by
