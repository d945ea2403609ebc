"""Second factors and the company's sign-in: how they are set up, asked for, and when they open nothing."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.env import BadEnvironmentError, company_sign_in
from governance.sign_in.company_sign_in import CompanyAccountAdapter, CompanyProvider
from tests import make, second_factor
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"
ISSUER = "https://login.example.org"


@pytest.fixture
def carol() -> Person:
    return make.person("carol", password=PASSWORD)


@pytest.fixture
def browser(carol: Person) -> Client:
    found = visits.as_(carol)
    session = found.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session.save()
    return found


def _set_up(browser: Client) -> str:
    page = browser.get("/settings/sign-in/totp/activate/")
    secret: str = page.context["form"].secret
    browser.post("/settings/sign-in/totp/activate/", {"code": second_factor.code(secret)})
    return secret


def test_an_authenticator_app_is_set_up_with_its_secret_sealed_and_recovery_codes(
    browser: Client, carol: Person
) -> None:
    secret = _set_up(browser)
    kept = {each.type: each.data for each in Authenticator.objects.filter(user=carol)}
    assert kept.keys() == {"totp", "recovery_codes"}
    assert secret not in str(kept)


def test_with_a_second_factor_the_password_alone_opens_nothing(browser: Client) -> None:
    _set_up(browser)
    stranger = Client()
    stranger.post("/login/", {"login": "carol", "password": PASSWORD})
    assert stranger.get("/").status_code == 302
    stranger.post("/settings/sign-in/authenticate/", {"code": "000000"})
    assert stranger.get("/").status_code == 302


@pytest.mark.parametrize(("proof", "where"), [("password", "/settings/sign-in/reauthenticate/"), ("mfa", "")])
def test_whoever_has_a_second_factor_proves_it_with_that(
    browser: Client, carol: Person, proof: str, where: str
) -> None:
    _set_up(browser)
    session = browser.session
    session["account_authentication_methods"] = [{"method": proof, "at": time.time(), "reauthenticated": True}]
    session["account_authentication_methods_user"] = str(carol.pk)
    session.save()
    answer = browser.post("/settings/tokens/", {"label": "nightly", "lasts": "7"})
    assert answer.headers.get("Location", "").partition("?")[0] == where


def test_a_recovery_code_opens_once(browser: Client, carol: Person) -> None:
    _set_up(browser)
    codes = Authenticator.objects.get(user=carol, type="recovery_codes").wrap().get_unused_codes()
    for expected in (200, 302):
        stranger = Client()
        stranger.post("/login/", {"login": "carol", "password": PASSWORD})
        stranger.post("/settings/sign-in/authenticate/", {"code": codes[0]})
        assert stranger.get("/").status_code == expected


@pytest.mark.parametrize("path", ["", "totp/activate/", "webauthn/", "webauthn/add/"])
def test_the_pages_of_second_factors_are_our_pages(browser: Client, path: str) -> None:
    page = browser.get(f"/settings/sign-in/{path}")
    assert page.status_code == 200
    assert 'class="shell"' in visits.text(page)


def _company_login(subject: str, settings: Settings) -> None:
    settings.OIDC_ISSUER = ISSUER
    request = RequestFactory().get("/login/company/callback/")
    request.session, request.user = SessionStore(), AnonymousUser()
    connected: list[Person] = []
    login = SimpleNamespace(
        account=SimpleNamespace(uid=subject, extra_data={"id_token": {"iss": ISSUER, "nonce": "ours"}}),
        state={"nonce": "ours"},
        is_existing=False,
        user=None,
        connect=lambda _request, person: connected.append(person),
    )
    CompanyAccountAdapter().pre_social_login(request, login)
    assert [person.login for person in connected] == ["carol"]


@pytest.fixture
def identity(carol: Person) -> None:
    issuer = trust.begin(
        ISSUER, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{ISSUER}/jwks", by=make.analyst().principal
    )
    people.link_identity(carol, issuer, "subject-1", by=SYSTEM)


@pytest.mark.usefixtures("identity")
def test_the_companys_subject_is_read_by_the_terms_of_its_issuer(settings: Settings) -> None:
    settings.OIDC_ISSUER = ISSUER
    provider = CompanyProvider(RequestFactory().get("/"), app=SocialApp(provider="openid_connect", settings={}))
    claims = {"sub": "pairwise", "oid": "subject-1", "tid": "t-1"}
    assert provider.extract_uid({"id_token": claims}) == "pairwise"
    TrustedIssuer.objects.update(subject_claim="oid", tenant_claim="tid", tenants=["t-1"])
    assert provider.extract_uid({"id_token": claims, "userinfo": {"sub": "pairwise"}}) == "t-1 subject-1"
    for wrong in ({**claims, "tid": "t-2"}, {"sub": "pairwise"}, {}):
        with pytest.raises(OAuth2Error):
            provider.extract_uid({"id_token": wrong})


@pytest.mark.usefixtures("identity")
def test_the_companys_subject_becomes_the_person_whose_identity_it_is(settings: Settings) -> None:
    _company_login("subject-1", settings)


@pytest.mark.usefixtures("identity")
def test_an_unknown_subject_is_nobody_whatever_its_mail_says(settings: Settings) -> None:
    with pytest.raises(ImmediateHttpResponse):
        _company_login("carol@example.org", settings)


@pytest.mark.usefixtures("identity")
def test_an_issuer_that_is_no_longer_trusted_lets_nobody_in(settings: Settings) -> None:
    TrustedIssuer.objects.update(enabled=False)
    with pytest.raises(ImmediateHttpResponse):
        _company_login("subject-1", settings)


@pytest.mark.usefixtures("identity")
def test_a_disabled_person_does_not_come_in_through_the_company(carol: Person, settings: Settings) -> None:
    people.disable(carol, by=make.analyst().principal, reason="left")
    with pytest.raises(ImmediateHttpResponse):
        _company_login("subject-1", settings)


def test_the_companys_sign_in_needs_https_and_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    assert company_sign_in() == {}
    monkeypatch.setenv("OIDC_ISSUER", ISSUER)
    with pytest.raises(BadEnvironmentError, match="OIDC_CLIENT_ID"):
        company_sign_in()
    monkeypatch.setenv("OIDC_CLIENT_ID", "mandate")
    assert company_sign_in()["openid_connect"]
    monkeypatch.setenv("DEMO", "false")
    monkeypatch.setenv("OIDC_ISSUER", "http://login.example.org")
    with pytest.raises(BadEnvironmentError, match="https"):
        company_sign_in()
