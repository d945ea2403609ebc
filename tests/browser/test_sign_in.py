"""Signing in and proving it again, in a real browser: at a live company provider, by passkey, by recovery code."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from tests import second_factor
from tests.browser import company_idp
from tests.browser.conftest import PASSWORD, Visitor, leave

pytestmark = pytest.mark.usefixtures("transactional_db")

AGAIN = 'form[action="/settings/tokens/"]'


@pytest.fixture
def provider(settings: Settings, transactional_db: None) -> Iterator[company_idp.Provider]:  # noqa: ARG001
    """Run the company's provider, trust it, and know sofia by its subject."""
    from entitlements.people import people  # noqa: PLC0415 - the product can be imported only now
    from entitlements.trusted_issuers import trust  # noqa: PLC0415 - the product can be imported only now
    from entitlements.trusted_issuers.models import TrustedIssuer  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    with company_idp.running() as found:
        sofia = make.person("sofia")
        sofia.set_unusable_password()
        sofia.save()
        settings.DEMO = True  # an issuer on this machine speaks no TLS
        keys, by = f"{found.issuer}/jwks", make.analyst().principal
        issuer = trust.begin(found.issuer, purpose=TrustedIssuer.Purpose.IDENTITY, jwks_uri=keys, by=by)
        people.link_identity(sofia, issuer, "00u-sofia", by=make.analyst().principal)
        settings.OIDC_ISSUER = found.issuer
        ours = {"server_url": found.issuer, "fetch_userinfo": False, "oauth_pkce_enabled": True}
        app = {"provider_id": "company", "name": "Example Corp", "client_id": company_idp.CLIENT}
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"APPS": [{**app, "secret": company_idp.SECRET, "settings": ours}]}
        }
        yield found


def _at_the_company(visitor: Visitor, subject: str = "00u-sofia") -> None:
    visitor.go("/login/?next=/settings/")
    visitor.page.get_by_role("link", name="Example Corp").click()
    visitor.page.get_by_label("Who?").fill(subject)
    visitor.page.get_by_role("button", name="Go").click()


def test_a_person_comes_in_through_the_company_by_code_with_pkce_state_and_nonce(
    visitor: Visitor, provider: company_idp.Provider
) -> None:
    _at_the_company(visitor)
    visitor.page.wait_for_url(visitor.address + "/settings/")
    expect(visitor.page.locator(".side .foot")).to_contain_text("sofia", ignore_case=True)
    asked = provider.asked[0]
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert all(len(asked[name]) >= 16 for name in ("state", "nonce", "code_challenge"))
    assert (visitor.wrong, visitor.violations()) == ([], [])


@pytest.mark.parametrize("lie", [{"nonce": "another"}, {"nonce": None}, {"sub": "00u-mallory"}])
def test_an_answer_to_another_question_or_about_nobody_we_know_opens_nothing(
    visitor: Visitor, provider: company_idp.Provider, lie: dict[str, str]
) -> None:
    provider.lie = lie  # with sofia's own address in the mail claim, each time
    _at_the_company(visitor)
    expect(visitor.page.get_by_role("heading", name="Unknown identity")).to_be_visible()
    visitor.go("/settings/")
    visitor.page.wait_for_url("**/login/**")


def test_another_issuers_token_or_a_state_of_another_browser_is_refused_with_a_sentence(
    visitor: Visitor, provider: company_idp.Provider
) -> None:
    provider.lie = {"iss": "https://elsewhere.example"}
    _at_the_company(visitor)
    expect(visitor.page.get_by_role("heading", name="The company sign-in did not work")).to_be_visible()
    visitor.go("/login/company/callback/?code=stolen&state=guessed")
    expect(visitor.page.get_by_role("heading", name="The company sign-in did not work")).to_be_visible()
    visitor.page.get_by_role("link", name="Try again").click()
    visitor.page.wait_for_url("**/login/")


@pytest.mark.usefixtures("provider")
def test_whoever_is_disabled_here_does_not_come_in_from_there(visitor: Visitor) -> None:
    from entitlements.people import people  # noqa: PLC0415
    from entitlements.people.models import Person  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    people.disable(Person.objects.get(login="sofia"), by=make.analyst().principal, reason="Left.")
    _at_the_company(visitor)
    expect(visitor.page.get_by_role("heading", name="Unknown identity")).to_be_visible()


def _make_token(visitor: Visitor, label: str) -> None:
    visitor.go("/settings/")
    form = visitor.page.locator(AGAIN)
    form.locator("[name=label]").fill(label)
    form.get_by_role("button").click()


def test_what_weighs_much_goes_back_to_the_company_and_then_on_with_what_was_filled_in(
    visitor: Visitor, provider: company_idp.Provider
) -> None:
    from entitlements.people.models import ApiToken  # noqa: PLC0415

    _at_the_company(visitor)
    _make_token(visitor, "nightly report")
    visitor.page.get_by_role("link", name="Sign in again").click()
    assert (provider.asked[-1]["prompt"], provider.asked[-1]["max_age"]) == ("login", "0")
    visitor.page.get_by_label("Who?").fill("00u-sofia")
    provider.lie = {"auth_time": int(time.time()) - 3600}
    visitor.page.get_by_role("button", name="Go").click()
    expect(visitor.page.get_by_role("heading", name="Unknown identity")).to_be_visible()
    assert not ApiToken.objects.exists()

    provider.lie = {}
    _make_token(visitor, "nightly report")
    visitor.page.get_by_role("link", name="Sign in again").click()
    visitor.page.get_by_label("Who?").fill("00u-sofia")
    visitor.page.get_by_role("button", name="Go").click()
    expect(visitor.page.get_by_text("nightly report").first).to_be_visible()
    assert ApiToken.objects.get().label == "nightly report"


@pytest.fixture
def carol(transactional_db: None) -> None:  # noqa: ARG001
    from tests import make  # noqa: PLC0415

    make.person("carol", password=PASSWORD)


def _authenticator(visitor: Visitor) -> None:
    """Give the browser a passkey device (WebAuthn virtual authenticator) with a finger on it."""
    device = visitor.page.context.new_cdp_session(visitor.page)
    device.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options = {**kind, "isUserVerified": True, "automaticPresenceSimulation": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def _old(login: str) -> None:
    """Let whatever the person proved be too old."""
    from django.contrib.sessions.models import Session  # noqa: PLC0415

    from entitlements.secrets import seal  # noqa: PLC0415

    for row in Session.objects.all():
        place = f"session:{row.session_key}"
        held = json.loads(seal.unseal(base64.b64decode(row.session_data), place))
        proofs = held.get("account_authentication_methods", [])
        held["account_authentication_methods"] = [{**proof, "at": proof["at"] - 3600} for proof in proofs]
        row.session_data = base64.b64encode(seal.seal(json.dumps(held).encode(), place)).decode()
        row.save()
    assert login


def test_a_passkey_is_registered_signs_in_despite_strangers_and_proves_it_again(
    visitor: Visitor,
    carol: None,  # noqa: ARG001
    settings: Settings,
) -> None:
    from entitlements import ratelimits  # noqa: PLC0415
    from entitlements.people import attempts  # noqa: PLC0415
    from entitlements.people.models import ApiToken  # noqa: PLC0415

    _authenticator(visitor)
    visitor.sign_in_by_keys("carol")
    visitor.go("/settings/sign-in/webauthn/add/")
    if "again" in visitor.page.url:
        visitor.page.locator("input[name=password]").fill(PASSWORD)
        visitor.page.keyboard.press("Enter")
    visitor.page.locator("input[name=name]").fill("Laptop")
    visitor.page.locator("input[name=passwordless]").check()
    visitor.page.get_by_role("button", name="Add").click()
    visitor.page.wait_for_url(re.compile("recovery-codes|webauthn/$"))

    leave(visitor.page)
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "sign_in": 1}
    for number in range(20):  # a stranger in the same network, who tries this login and others
        with contextlib.suppress(ratelimits.TooMany):
            attempts.admit_password("carol" if number % 2 else f"invented-{number}", "127.0.0.1", None)
    visitor.go("/login/?next=/settings/")
    visitor.page.get_by_role("button", name="Use a passkey").click()
    visitor.page.wait_for_url(visitor.address + "/settings/")

    _old("carol")
    _make_token(visitor, "from my laptop")
    visitor.page.wait_for_url("**/reauthenticate/**")
    if visitor.page.get_by_role("link", name="security key").count():
        visitor.page.get_by_role("link", name="security key").click()
    visitor.page.get_by_role("button", name="security key").click()
    expect(visitor.page.get_by_text("from my laptop").first).to_be_visible()
    assert ApiToken.objects.get().label == "from my laptop"
    assert (visitor.wrong, visitor.violations()) == ([], [])


def test_an_authenticator_app_is_asked_for_and_the_password_alone_proves_nothing_any_more(
    visitor: Visitor,
    carol: None,  # noqa: ARG001
) -> None:
    from allauth.mfa.models import Authenticator  # noqa: PLC0415

    from entitlements.people.models import ApiToken  # noqa: PLC0415

    visitor.sign_in_by_keys("carol")
    visitor.go("/settings/sign-in/totp/activate/")
    if "again" in visitor.page.url:
        visitor.page.locator("input[name=password]").fill(PASSWORD)
        visitor.page.keyboard.press("Enter")
    secret = visitor.page.get_by_label("Authenticator secret").input_value()
    visitor.page.locator("input[name=code]").fill(second_factor.code(secret))
    visitor.page.get_by_role("button", name="Activate").click()
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()

    leave(visitor.page)
    visitor.go("/login/?next=/settings/")
    visitor.page.get_by_label("Login").fill("carol")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.keyboard.press("Enter")
    visitor.page.locator("input[name=code]").fill(codes[0])
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(visitor.address + "/settings/")

    _old("carol")
    _make_token(visitor, "kept through the proof")
    visitor.page.wait_for_url("**/reauthenticate/**")
    visitor.go("/login/again/")
    visitor.page.wait_for_url("**/reauthenticate/**")  # the page for the password is not open to her
    _make_token(visitor, "kept through the proof")
    visitor.page.locator("input[name=code]").fill(codes[1])
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_text("kept through the proof").first).to_be_visible()
    assert ApiToken.objects.get().label == "kept through the proof"
    assert (visitor.wrong, visitor.violations()) == ([], [])
