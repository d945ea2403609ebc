"""Authlib's authorization server takes our ID-JAGs, and refuses each claim that is not as we wrote it."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from entitlements import addresses
from entitlements.keys import jws, signing
from entitlements.tokens import tokens
from tests import shared
from tests.entitlements.edge import worlds as edge_worlds
from tests.entitlements.vendors import worlds
from tests.entitlements.vendors.worlds import VendorWorld
from tests.protocols.authlib_vendor import RegisteredClient, Vendor

made_world, world = shared.world(worlds.vendor_world)


@pytest.fixture
def vendor(world: VendorWorld) -> Vendor:
    """Have a server that trusts our issuer by its published keys, and knows alice by the name that we give it."""
    idp = addresses.issuer(addresses.IDP)
    made = Vendor(worlds.ISSUER, idp, lambda: world.edge.http.get("/idp/jwks.json").json())
    for name in (worlds.NAME_THERE, "another"):
        made.clients[name] = RegisteredClient(name, f"secret-of-{name}")
    made.people.add((idp, world.claims()["sub"]))
    return made


def resigned(claims: dict[str, Any], typ: str = tokens.ID_JAG_TYP, key: jws.Key | None = None) -> str:
    """Sign claims with our own key: what is wrong with them is all that is wrong."""
    return signing.sign(addresses.IDP, claims, typ) if key is None else jws.sign(claims, key, typ)


def test_it_takes_our_assertion_once_and_only_from_its_client(world: VendorWorld, vendor: Vendor) -> None:
    token = world.id_jag()
    assert vendor.redeem(token, "another")[1]["error"] == "invalid_grant"

    status, body = vendor.redeem(token)
    assert (status, body["scope"], body["token_type"]) == (200, "maps:read", "Bearer")
    assert "refresh_token" not in body
    assert vendor.seen[0]["resource"] == worlds.RESOURCE

    assert vendor.redeem(token)[1]["error"] == "invalid_grant"


def test_it_gives_no_scope_that_we_did_not(world: VendorWorld, vendor: Vendor) -> None:
    assert vendor.redeem(world.id_jag(), scope="maps:read maps:write")[1]["error"] == "invalid_scope"


def removed(name: str, claims: dict[str, Any]) -> None:
    del claims[name]


WITHOUT = ("iss", "sub", "aud", "client_id", "jti", "exp", "iat")
NOW = time.time
SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another issuer": lambda claims: claims.update(iss="https://evil.example"),
    "our issuer with a slash": lambda claims: claims.update(iss=f"{claims['iss']}/"),
    "another person": lambda claims: claims.update(sub="alice"),
    "an empty subject": lambda claims: claims.update(sub=""),
    "another audience": lambda claims: claims.update(aud="https://as.other.example"),
    "the audience without its slash": lambda claims: claims.update(aud=claims["aud"].rstrip("/")),
    "another client": lambda claims: claims.update(client_id="another"),
    "our own name of the client": lambda claims: claims.update(client_id="expense-client"),
    "expired": lambda claims: claims.update(exp=int(NOW()) - 120, iat=int(NOW()) - 400),
    "an expiry that is no number": lambda claims: claims.update(exp="tomorrow"),
    "issued tomorrow": lambda claims: claims.update(iat=int(NOW()) + 86_400, exp=int(NOW()) + 86_500),
    "a key that it cannot ask for": lambda claims: claims.update(cnf={"jkt": "x"}),
    "no scope": lambda claims: claims.update(scope=""),
    "a scope that is no text": lambda claims: claims.update(scope=["maps:read"]),
    **{f"without {name}": functools.partial(removed, name) for name in WITHOUT},
}


@pytest.mark.parametrize("name", SPOILED)
def test_each_claim_spoiled_alone_is_refused_by_it(world: VendorWorld, vendor: Vendor, name: str) -> None:
    claims = world.claims() | {"jti": str(uuid.uuid4())}
    assert vendor.redeem(resigned(dict(claims)))[0] == 200
    claims["jti"] = str(uuid.uuid4())
    SPOILED[name](claims)

    status, body = vendor.redeem(resigned(claims))
    assert (status, body["error"] in {"invalid_grant", "invalid_scope", "invalid_request"}) == (400, True), body


def test_another_type_or_key_is_refused_by_it(world: VendorWorld, vendor: Vendor) -> None:
    claims = world.claims() | {"jti": str(uuid.uuid4())}
    for token in (resigned(claims, "JWT"), resigned(claims, "at+jwt"), resigned(claims, key=edge_worlds.new_key())):
        assert vendor.redeem(token)[1]["error"] == "invalid_grant"
    head, body, signature = world.id_jag().split(".")
    assert vendor.redeem(f"{head}.{body}.{signature[:-4]}AAAA")[1]["error"] == "invalid_grant"
    assert vendor.seen == []


ASKED: dict[str, dict[str, str | None]] = {
    "another resource": {"resource": "https://mcp.other.example/mcp"},
    "a resource of ours": {"resource": "http://localhost:8001/gw/time/mcp"},
    "no resource of several": {"resource": None},
    "another scope": {"scope": "maps:write"},
    "another audience": {"audience": "https://as.other.example"},
}


@pytest.mark.parametrize("name", ASKED)
def test_what_it_does_not_look_at_is_refused_by_us(world: VendorWorld, name: str) -> None:
    answer = world.exchange(**ASKED[name])
    assert (answer.status, answer.body["error"] in {"invalid_target", "access_denied"}) == (400, True)
