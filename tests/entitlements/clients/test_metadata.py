"""What a client says of itself is read by the names of RFC 7591, and refused where it cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwk

from entitlements.clients import metadata
from entitlements.errors import DomainError

BACK = ["http://127.0.0.1/callback", "https://app.example/back?from=here", "http://localhost:80/", "http://[::1]/x"]
KEY = jwk.generate_key("EC", "P-256", {"use": "sig", "alg": "ES256"})
KEYS = {"keys": [KEY.as_dict(private=False)]}
PRIVATE = {"keys": [KEY.as_dict(private=True)]}


def document(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return metadata that is in order, apart from what is changed; None leaves a name out."""
    usual = {"client_name": "Desk", "redirect_uris": BACK, "token_endpoint_auth_method": "none"}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def test_what_is_used_is_read_and_the_rest_left_alone() -> None:
    read = metadata.read(document(scope="time", client_uri="https://app.example/", logo_uri=7, software_id="x"))

    assert read == metadata.Metadata(tuple(BACK), name="Desk", scope="time", client_uri="https://app.example/")
    hosts = {"http://127.0.0.1", "https://app.example", "http://localhost", "http://::1"}
    assert read.redirect_hosts == hosts


def test_a_key_makes_a_client_that_proves_itself() -> None:
    inline = metadata.read(document(jwks={**KEYS, "more": 1}, token_endpoint_auth_method=None))
    published = metadata.read(document(jwks_uri="https://app.example/keys", token_endpoint_auth_method=None))

    assert (inline.auth, inline.jwks, inline.jwks_uri) == ("private_key_jwt", KEYS, "")
    assert (published.auth, published.jwks, published.jwks_uri) == ("private_key_jwt", {}, "https://app.example/keys")


def test_a_public_client_has_no_keys_and_none_is_the_method_without_keys() -> None:
    assert metadata.read(document(jwks=KEYS)).jwks == {}
    assert metadata.read(document(token_endpoint_auth_method=None, client_name=None)).auth == "none"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_secret": "x"}, "secret_in_client_metadata"),
        ({"client_secret_expires_at": 0}, "secret_in_client_metadata"),
        ({"jwks": PRIVATE}, "private_key_given"),
        ({"jwks": {"keys": []}}, "bad_key"),
        ({"jwks": KEYS, "jwks_uri": "https://app.example/keys"}, "bad_client_metadata"),
        ({"jwks_uri": "http://app.example/keys"}, "bad_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "bad_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "bad_client_metadata"),
        ({"token_endpoint_auth_method": ["none"]}, "bad_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "bad_client_metadata"),
        ({"grant_types": "authorization_code"}, "bad_client_metadata"),
        ({"response_types": ["token"]}, "bad_client_metadata"),
        ({"client_name": "x" * 201}, "bad_client_metadata"),
        ({"client_name": "Desk\u202etxt"}, "bad_client_metadata"),
        ({"client_name": {"en": "Desk"}}, "bad_client_metadata"),
        ({"scope": ["time"]}, "bad_client_metadata"),
        ({"client_uri": "javascript:alert(1)"}, "bad_client_metadata"),
        ({"redirect_uris": None}, "bad_redirect_uri"),
        ({"redirect_uris": []}, "bad_redirect_uri"),
        ({"redirect_uris": "https://app.example/"}, "bad_redirect_uri"),
        ({"redirect_uris": [f"https://app.example/{n}" for n in range(21)]}, "bad_redirect_uri"),
    ],
)
def test_it_is_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        metadata.read(document(**changed))
    assert refused.value.code == code


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/back",
        "https://app.example/back#fragment",
        "https://app.example/back#",
        "https://user@app.example/back",
        "https://@app.example/back",
        "https://*.app.example/back",
        "https:///back",
        "https:app.example",
        "https://app.example:port/",
        "https://[::1/back",
        "https://app.example/a b",
        "https://app.example/\n",
        "https://\u00e4pp.example/",
        "https://app.example\\@evil.example/",
        "com.example.app:/back",
        "cursor://app/back",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "https://app.example/" + "x" * 1_000,
        "",
        7,
    ],
)
def test_a_redirect_that_leads_elsewhere_is_refused(uri: object) -> None:
    with pytest.raises(metadata.BadRedirect):
        metadata.read(document(redirect_uris=[uri]))


@pytest.mark.parametrize("given", [None, [], "{}", 1])
def test_only_an_object_is_metadata(given: object) -> None:
    with pytest.raises(metadata.BadMetadata):
        metadata.read(given)
