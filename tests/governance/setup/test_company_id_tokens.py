"""At the console's sign-in, too, only an ID token of a recent sign-in at the company opens anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client
from joserfc import jwt
from pytest_django.fixtures import Settings

from audit.models import Event
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, waits
from tests.browser import company_idp
from tests.governance.console import visits

pytestmark = [pytest.mark.django_db, pytest.mark.loopback]
HOUR = 3600


@pytest.fixture(scope="module")
def running() -> Iterator[company_idp.Provider]:
    with company_idp.running() as found:
        yield found


@pytest.fixture
def provider(running: company_idp.Provider, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Trust the running provider, and know sofia by her subject there."""
    sofia = make.person("sofia")
    sofia.set_unusable_password()
    sofia.save()
    settings.DEMO = True  # an issuer on this machine speaks no TLS
    by = make.analyst().principal
    issuer = trust.begin(
        running.issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=f"{running.issuer}/jwks", by=by
    )
    people.link_identity(sofia, issuer, "00u-sofia", by=by)
    ours = {"server_url": running.issuer, "fetch_userinfo": False, "oauth_pkce_enabled": True}
    app = {"provider_id": "company", "name": "Example Corp", "client_id": company_idp.CLIENT, "settings": ours}
    settings.OIDC_ISSUER = running.issuer
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [{**app, "secret": company_idp.SECRET}]}}
    monkeypatch.setattr(running.keys, "sign", lambda claims: _signed(running, claims))
    yield running
    running.lie = {}


def _signed(provider: company_idp.Provider, claims: dict[str, Any]) -> str:
    """Sign as the provider does, with the header's type out of the claim `header`."""
    key = provider.keys._keys[-1]
    typ = claims.pop("header", "JWT")
    return jwt.encode({"alg": "ES256", "typ": typ, "kid": key.kid}, claims, key, algorithms=["ES256"])


def _come_in(provider: company_idp.Provider, **lie: Any) -> tuple[Client, Any]:  # noqa: ANN401 - any JSON
    provider.lie = lie
    browser = Client()
    there = browser.get("/login/company/")["Location"]
    assert requests.get(there, timeout=waits.SECONDS).ok
    asked = {"n": str(len(provider.asked) - 1), "sub": "00u-sofia"}
    back = requests.get(f"{provider.issuer}/signed-in", asked, allow_redirects=False, timeout=waits.SECONDS).headers[
        "Location"
    ]
    parts = urlsplit(back)
    return browser, browser.get(f"{parts.path}?{parts.query}")


@pytest.mark.parametrize(
    "lie",
    [
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"header": "logout+jwt"},
        {"header": "at+jwt"},
        {"typ": "Logout"},
        {"scope": "openid"},
        {"exp": 10 * 365 * 24 * HOUR},
        {"iat": HOUR, "exp": 2 * HOUR},
        {"auth_time": HOUR},
    ],
    ids=str,
)
def test_another_jwt_of_the_company_opens_nothing(provider: company_idp.Provider, lie: dict[str, Any]) -> None:
    """Numbers are seconds from now."""
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in lie.items()}
    browser, answer = _come_in(provider, **claims)
    assert "The company sign-in did not work" in visits.text(answer)
    assert browser.get("/settings/").status_code == 302
    assert not Event.objects.filter(action="person.signed_in").exists()


def test_a_sign_in_at_the_company_that_is_too_old_opens_nothing_and_says_what_to_do(
    provider: company_idp.Provider,
) -> None:
    now = int(time.time())
    for lie in ({"auth_time": now - 30 * 24 * HOUR}, {"auth_time": None, "iat": now - 13 * HOUR, "exp": now + HOUR}):
        browser, answer = _come_in(provider, **lie)
        page = visits.text(answer)
        assert answer.status_code == 403
        assert "Your sign-in at the company is too old" in page
        assert "at most 12" in page
        assert "reauthentication_due" in page
        assert browser.get("/settings/").status_code == 302
    assert provider.asked[-1]["max_age"] == str(12 * HOUR)


@pytest.mark.parametrize(("lie", "claim"), [({}, "auth_time"), ({"auth_time": None}, "iat")], ids=str)
def test_the_session_and_the_record_know_when_and_how_the_person_signed_in_there(
    provider: company_idp.Provider, lie: dict[str, Any], claim: str
) -> None:
    at = int(time.time()) - HOUR
    when = {"auth_time": at} if claim == "auth_time" else {"iat": at}
    how = {"acr": "loa2", "amr": ["pwd", "sms"]}
    browser, answer = _come_in(provider, **{**when, **lie, **how})
    assert answer.status_code == 302
    assert browser.get("/settings/").status_code == 200
    proof = browser.session["account_authentication_methods"][-1]
    assert (proof["method"], proof["signed_in_at"], proof["claims"]) == ("socialaccount", at, how)
    event = Event.objects.get(action="person.signed_in")
    assert event.detail["sign_in"] == {"at": at, "claim": claim}
    assert Person.objects.get(login="sofia").is_active
