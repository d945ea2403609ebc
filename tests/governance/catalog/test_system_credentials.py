"""The credential of a system in the console and the API: each kind by its own fields, and nothing secret comes back."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwk

from audit.export import timeline
from entitlements.secrets import seal, vault
from entitlements.secrets.models import Secret
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.console import visits

pytestmark = pytest.mark.django_db

PAGE = "/systems/clock/secret/"
PEM = jwk.ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
SECRET = "correct-horse-battery"
METHOD = "client_authentication"
OAUTH = {"client_id": "mandate", "issuer": "https://login.example/tenant", "scope": "read write"}
ENDPOINTS = {"authorization_url": "https://login.example/authorize", "token_url": "https://login.example/token"}
FILLED: dict[str, dict[str, str]] = {
    "bearer": {"secret": SECRET},
    "header": {"header": "X-Api-Key", "secret": SECRET},
    "basic": {"username": "svc", "secret": SECRET},
    "oauth_client": {**OAUTH, "client_authentication": "client_secret_post", "secret": SECRET},
    "oauth_key": {**OAUTH, "key_id": "key-1", "secret": PEM},
    "oauth_user": {**OAUTH, "client_authentication": "client_secret_post", "secret": SECRET},
    "oauth_user_key": {**OAUTH, "revocation_url": "https://login.example/revoke", **ENDPOINTS, "secret": PEM},
    "jwt_bearer": {"client_id": "robot", "token_url": "https://login.example/token", "secret": PEM},
    "aws_sigv4": {"access_key_id": "AKIDEXAMPLE", "region": "eu-central-1", "service": "es", "secret": SECRET},
}

made_world, company = shared.world(companies.found)


@pytest.mark.parametrize("kind", FILLED)
def test_each_kind_has_its_own_fields_and_is_stored_sealed(company: companies.Company, kind: str) -> None:
    browser, given = visits.as_(company.sam), FILLED[kind]
    page = visits.text(browser.get(f"{PAGE}?kind={kind}"))
    assert all(f'name="{name}"' in page for name in given)
    assert ('name="client_id"' in page) == ("client_id" in given)
    assert browser.post(PAGE, {"kind": kind, **given}).status_code == 302
    opened = vault.open_for(company.system)
    assert opened is not None
    assert opened.secret.decode() == given["secret"].strip()
    row = Secret.objects.get()
    shown = {name: text for name, text in given.items() if name not in ("secret", "header")}
    assert shown.items() <= row.settings.items()
    assert all(f'value="{text}"' in visits.text(browser.get(PAGE)) for name, text in shown.items() if name != METHOD)
    for address in (PAGE, "/systems/clock/edit/"):
        after = visits.text(browser.get(address))
        assert row.last_four in after
        assert row.fingerprint in after
        assert given["secret"][30:90] not in after or not given["secret"][30:90]
        assert SECRET not in after
    assert given["secret"].encode() not in bytes(row.sealed)
    assert not any(SECRET in event.body or "PRIVATE KEY" in event.body for event in timeline.of("system", "clock"))


@pytest.mark.parametrize(
    ("kind", "wrong", "word"),
    [
        ("bearer", {"secret": "short"}, "8 to 8192"),
        ("header", {"header": "Host"}, "ordinary one"),
        ("basic", {"username": "with:colon"}, "cannot be sent"),
        ("oauth_client", {"issuer": "", "token_url": ""}, "Give the issuer or the token endpoint"),
        ("oauth_user", {"issuer": ""}, "This field is required"),
        ("oauth_user", {"token_url": "https://login.example/token"}, "or neither"),
        ("oauth_user", {"revocation_url": "https://login.example/revoke"}, "or neither"),
        ("oauth_client", {"token_url": "https://other.example/token"}, "Give the issuer or the token endpoint"),
        ("oauth_client", {"issuer": "http://login.example/tenant"}, "https address"),
        ("oauth_client", {"scope": "two  spaces"}, "cannot be sent"),
        ("oauth_key", {"secret": "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----"}, "no private key"),
        ("jwt_bearer", {"algorithm": "RS256"}, "signs with ES256"),
        ("aws_sigv4", {"region": "Somewhere else"}, "cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_beside_its_field_and_the_secret_is_not_shown_again(
    company: companies.Company, kind: str, wrong: dict[str, str], word: str
) -> None:
    response = visits.as_(company.sam).post(PAGE, {"kind": kind, **FILLED[kind], **wrong})
    page = visits.text(response)
    assert response.status_code == 422
    assert word in page
    assert 'aria-invalid="true"' in page
    assert SECRET not in page
    assert "BEGIN" not in page
    assert not Secret.objects.exists()


def test_the_kind_none_deletes_what_is_stored_once_and_on_record(company: companies.Company) -> None:
    browser = visits.as_(company.sam)
    browser.post(PAGE, {"kind": "bearer", "secret": SECRET})
    assert "Delete credential" in visits.text(browser.get(f"{PAGE}?kind=none"))
    for _ in range(2):
        assert browser.post(PAGE, {"kind": "none"}).status_code == 302
    assert vault.open_for(company.system) is None
    assert [event.action for event in timeline.of("system", "clock")].count("secret.forgotten") == 1


def test_only_the_owner_and_platform_administrators_open_the_page(company: companies.Company) -> None:
    assert visits.as_(company.ana).get(PAGE).status_code == 403
    assert visits.as_(company.sam).get(PAGE).status_code == 200


def put(company: companies.Company, body: dict[str, Any]) -> Any:  # noqa: ANN401 - the client's answer
    return client.proven(company.sam).put("/api/v1/systems/clock/secret", body)


def test_the_api_takes_every_kind_and_shows_all_but_the_secret(company: companies.Company) -> None:
    settings = {**OAUTH, "client_authentication": "private_key_jwt"}
    stored = put(company, {"kind": "oauth_client", "value": PEM, "settings": settings})
    assert (stored.status_code, stored.json()["secret"]["settings"]) == (200, settings)
    assert "PRIVATE KEY" not in stored.content.decode()
    sent_to = [event.detail.get("goes_to") for event in timeline.of("system", "clock") if event.action == "secret.set"]
    assert sent_to == [OAUTH["issuer"]]
    assert put(company, {"kind": "none"}).json()["secret"] is None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"kind": "cookie", "value": SECRET}, 400, "invalid"),
        ({"kind": "basic", "value": SECRET, "settings": {"user": "svc"}}, 400, "unknown_field"),
        ({"kind": "basic", "value": SECRET}, 422, "credential_malformed"),
        (
            {"kind": "basic", "value": SECRET, "header": "X-Key", "settings": {"username": "svc"}},
            422,
            "credential_malformed",
        ),
        ({"kind": "bearer", "value": SECRET, "settings": {"region": "x"}}, 422, "credential_malformed"),
        ({"kind": "none", "value": SECRET}, 422, "credential_malformed"),
        ({"kind": "bearer"}, 422, "credential_malformed"),
        ({"kind": "oauth_client", "value": SECRET, "settings": {**OAUTH, "key_id": "k"}}, 422, "credential_malformed"),
    ],
)
def test_the_api_refuses_what_does_not_go_together(
    company: companies.Company, body: dict[str, Any], status: int, code: str
) -> None:
    refused = put(company, body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert not Secret.objects.exists()


def test_settings_are_sealed_with_the_secret_so_that_a_changed_row_sends_it_nowhere_else() -> None:
    system = make.system()
    settings = {"client_id": "mandate", "token_url": "https://login.example/token"}
    row = vault.set_secret(system, kind="oauth_client", value=SECRET, settings=settings, by=make.analyst().principal)
    Secret.objects.filter(pk=row.pk).update(settings={**row.settings, "token_url": "https://thief.example/token"})
    opened = vault.open_for(system)
    assert opened is not None
    assert opened.settings["token_url"] == "https://login.example/token"
    Secret.objects.filter(pk=row.pk).update(kind="header")
    with pytest.raises(seal.SealBroken):
        vault.open_for(system)
