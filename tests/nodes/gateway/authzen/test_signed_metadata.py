"""The metadata of the decision point as a token (AuthZEN 1.0, section 9), by nodes that can sign and that cannot."""

from __future__ import annotations

import base64
import os
from typing import Any

import httpx2
import jwt
import pytest
from django.conf import settings

from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.keys import signing
from entitlements.keys.models import SigningKey
from tests import waits
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway

ISSUER = "as/mandate"
METADATA = "/.well-known/authzen-configuration"


@pytest.fixture(autouse=True)
def issuer(database: None) -> None:  # noqa: ARG001 - it is opened first
    System.objects.get_or_create(slug="mandate", defaults={"name": "Mandate", "kind": "builtin"})
    signing.ensure(ISSUER)


def metadata(node: Gateway) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{node.base}{METADATA}").json()
    return found


def checked(token: str) -> dict[str, Any]:
    """Check the token as an enforcement point does, with the published keys of its issuer and another library."""
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = [each for each in signing.jwks(ISSUER)["keys"] if each["kid"] == kid]
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(key), algorithms=[key["alg"]], issuer=addresses.issuer(ISSUER), options={"require": ["exp"]}
    )
    return claims


def test_the_same_metadata_is_signed_by_the_issuer_of_the_callers_tokens(node: Gateway) -> None:
    said = metadata(node)
    token = said.pop("signed_metadata")

    claims = checked(token)
    assert {name: claims[name] for name in said} == said
    assert claims.keys() == {*said, "iss", "iat", "exp"}  # and no `signed_metadata`, as the specification says
    assert claims["policy_decision_point"] == settings.GATEWAY_URL
    assert jwt.get_unverified_header(token)["typ"] == "pdp-metadata+jwt"
    assert metadata(node)["signed_metadata"] == token  # strangers ask: it is signed once for all of them


def test_it_opens_nothing(node: Gateway) -> None:
    token = metadata(node)["signed_metadata"]
    sent = {"Authorization": f"Bearer {token}"}
    answer = httpx2.post(f"{node.base}/access/v1/evaluation", json={}, headers=sent)
    assert answer.status_code == 401


def test_another_key_signs_it_anew(node: Gateway) -> None:
    before = metadata(node)["signed_metadata"]
    SigningKey.objects.filter(issuer=ISSUER).update(state="retired")
    signing.ensure(ISSUER)
    kid = signing.active_kid(ISSUER)

    def is_new() -> bool:
        return bool(jwt.get_unverified_header(metadata(node)["signed_metadata"])["kid"] == kid)

    waits.until(is_new)
    assert metadata(node)["signed_metadata"] != before
    checked(metadata(node)["signed_metadata"])


def test_a_node_that_opens_no_signing_key_leaves_it_out(node: Gateway) -> None:
    assert "signed_metadata" in metadata(node)
    key = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    with world.gateway("node-2", KEY_ENCRYPTION_KEY=key, SIGNING_KEY_ENCRYPTION_KEY=key) as other:
        said = metadata(other)
    assert "signed_metadata" not in said
    assert said["access_evaluation_endpoint"] == f"{settings.GATEWAY_URL}/access/v1/evaluation"
