"""Tokens are bound to a key that the client proves: at each token endpoint, once, and for good."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from entitlements import addresses
from entitlements.dpop import nonces, proofs
from entitlements.edge.grant_types import jwt_bearer
from entitlements.keys import signing
from entitlements.secrets.seal import RootKey
from entitlements.tokens.models import IssuedToken, UsedAssertion
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World
from tests.proofs import Holder

HOLDER, OTHER = Holder(), Holder()
IDP = "idp"


def nonce() -> str:
    return nonces.current(clock.now().timestamp(), RootKey.SIGNING)


def proof(path: str, holder: Holder = HOLDER, **spoiled: Any) -> str:
    return holder.prove("POST", f"{addresses.endpoints(path)}/token", **spoiled)


def at_idp(world: World, holder: Holder = HOLDER, **form: str | None) -> Answer:
    return world.post("/idp/token", world.exchange_form(**form), DPoP=proof(IDP, holder))


def at_system(world: World, assertion: str, header: str | None = None, **form: str) -> Answer:
    """Redeem an ID-JAG; the header is a proof of the holder if left out, and none if it is empty."""
    sent = {"grant_type": jwt_bearer.GRANT, "assertion": assertion, **world.credentials(world.audience), **form}
    header = proof(path(world)) if header is None else header
    return world.post(f"/{path(world)}/token", sent, **({"DPoP": header} if header else {}))


def path(world: World) -> str:
    return addresses.issuer_path(world.system.slug)


def bound_id_jag(world: World) -> str:
    answer = at_idp(world)
    assert answer.status == 200, answer.body
    return str(answer.body["access_token"])


def refused_once(answer: Answer, error: str, code: str = "proof_invalid") -> None:
    assert answer.error == (400, error, code), answer.body
    (event,) = worlds.refusals()
    assert (json.loads(event.body)["code"], str(event.uuid)) == (code, answer.body["evaluation_id"])


def test_ema_i_15_a_proof_binds_the_id_jag_to_its_key_and_without_one_there_is_no_cnf(world: World) -> None:
    assert worlds.peek(bound_id_jag(world))["cnf"] == {"jkt": HOLDER.thumbprint}
    assert IssuedToken.objects.get().jkt == HOLDER.thumbprint
    assert "cnf" not in worlds.peek(world.id_jag())


SPOILED: dict[str, dict[str, Any]] = {
    "another method": {"htm": "GET"},
    "another address": {"htu": "https://elsewhere.example/idp/token"},
    "too old": {"iat": 1},
    "no name": {"jti": None},
    "another's key": {"header": {"jwk": OTHER.public}},
    "another type": {"header": {"typ": "JWT"}},
    "no signature": {"header": {"alg": "none"}},
}
BOUND: dict[str, object] = {
    "nothing": {},
    "no thumbprint": {"jkt": "x"},
    "a number": {"jkt": 1},
    "a certificate": {"x5t#S256": "x" * 43},
    "two ways": {"jkt": HOLDER.thumbprint, "kid": "k"},
    "a text": "x",
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_ema_i_15_a_proof_that_does_not_fit_is_refused_and_nothing_is_issued(
    world: World, spoiled: dict[str, Any]
) -> None:
    before = worlds.standing()
    answer = world.post("/idp/token", world.exchange_form(), DPoP=proof(IDP, **spoiled))
    refused_once(answer, "invalid_dpop_proof")
    assert worlds.standing() == before


def test_a_proof_for_another_issuer_is_not_for_this_one(world: World) -> None:
    refused_once(at_system(world, world.id_jag(), proof(IDP)), "invalid_dpop_proof")


def test_two_proofs_and_an_empty_one_are_none(world: World) -> None:
    for header in (f"{proof(IDP)},{proof(IDP)}", ""):
        answer = world.post("/idp/token", world.exchange_form(), DPoP=header)
        assert answer.error == (400, "invalid_dpop_proof", "proof_invalid")


def test_ema_r_11_a_bound_assertion_needs_the_proof_of_its_key(world: World) -> None:
    bound = bound_id_jag(world)
    for header in ("", proof(path(world), OTHER)):
        answer = at_system(world, bound, header)
        assert answer.error == (400, "invalid_grant", "proof_invalid")
    assert len(worlds.refusals()) == 2
    assert not IssuedToken.objects.filter(kind=IssuedToken.Kind.ACCESS_TOKEN).exists()

    answer = at_system(world, bound)
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")
    claims = signing.verify(answer.body["access_token"], path(world), "at+jwt")
    assert claims["cnf"] == {"jkt": HOLDER.thumbprint}
    assert IssuedToken.objects.get(kind=IssuedToken.Kind.ACCESS_TOKEN).jkt == HOLDER.thumbprint


@pytest.mark.parametrize("bound", BOUND.values(), ids=BOUND)
def test_ema_r_11_an_assertion_that_is_bound_in_another_way_is_refused(world: World, bound: object) -> None:
    partner = worlds.new_key("partner")
    TrustedIssuer.objects.create(
        issuer=worlds.PARTNER,
        purpose=TrustedIssuer.Purpose.ID_JAG,
        jwks=worlds.key_set(partner),
        algorithms=["ES256"],
    )
    from tests.protocols.test_ema_resource_side import assertion  # noqa: PLC0415 - its world is this one

    refused_once(at_system(world, assertion(world, key=partner, iss=worlds.PARTNER, cnf=bound)), "invalid_grant")


def test_ema_r_12_a_proof_binds_the_access_token_of_an_unbound_assertion(world: World) -> None:
    answer = at_system(world, world.id_jag())
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")
    assert worlds.peek(answer.body["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}
    unbound = world.redeem(world.id_jag())
    assert unbound.body["token_type"] == "Bearer"
    assert "cnf" not in worlds.peek(unbound.body["access_token"])


def test_ema_r_12_a_proof_that_does_not_fit_is_refused(world: World) -> None:
    refused_once(at_system(world, world.id_jag(), proof(path(world), htm="GET")), "invalid_dpop_proof")


def test_a_proof_is_used_once_also_by_what_is_refused(world: World) -> None:
    header = proof(IDP)
    assert world.post("/idp/token", world.exchange_form(), DPoP=header).status == 200
    refused_once(world.post("/idp/token", world.exchange_form(), DPoP=header), "invalid_dpop_proof")
    assert IssuedToken.objects.count() == 1

    header = proof(IDP)
    wrong = world.post("/idp/token", world.exchange_form(audience="https://elsewhere.example"), DPoP=header)
    assert wrong.error[1] == "invalid_target"
    again = world.post("/idp/token", world.exchange_form(), DPoP=header)
    assert again.error == (400, "invalid_dpop_proof", "proof_invalid")
    assert len(worlds.refusals()) == 3
    assert UsedAssertion.objects.filter(issuer=f"dpop:{HOLDER.thumbprint}").count() == 2


def test_a_client_for_itself_gets_a_bound_token_too(world: World) -> None:
    make.grant(world.agent, world.entitlement, people=[])
    sent = {"grant_type": "client_credentials", **world.credentials(world.audience)}
    answer = world.post(f"/{path(world)}/token", sent, DPoP=proof(path(world)))
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")
    assert worlds.peek(answer.body["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}


def test_a_nonce_comes_with_each_answer_to_a_proof_and_one_that_is_sent_must_be_fresh(world: World) -> None:
    answer = at_idp(world)
    assert answer.headers["DPoP-Nonce"] == nonce()
    assert "DPoP-Nonce" not in world.exchange().headers
    assert "DPoP-Nonce" in answer.headers["Access-Control-Expose-Headers"]

    stale = nonces.current(clock.now().timestamp() - 2 * nonces.SECONDS, RootKey.SIGNING)
    for sent in (stale, "made-up"):
        refused = world.post("/idp/token", world.exchange_form(), DPoP=proof(IDP, nonce=sent))
        assert refused.error == (400, "use_dpop_nonce", "proof_nonce_needed")
        assert refused.headers["DPoP-Nonce"] == nonce()
    assert not worlds.refusals()
    assert world.post("/idp/token", world.exchange_form(), DPoP=proof(IDP, nonce=nonce())).status == 200


def test_ema_r_12_where_a_proof_is_required_nothing_is_issued_without_one(world: World, settings: Settings) -> None:
    id_jag = world.id_jag()
    settings.DPOP_REQUIRED = "all"
    refused_once(world.redeem(id_jag), "invalid_grant")
    assert world.exchange().error == (400, "invalid_dpop_proof", "proof_invalid")
    assert at_system(world, bound_id_jag(world)).status == 200


def test_the_metadata_names_the_algorithms_of_proofs(world: World) -> None:
    for issuer in (IDP, path(world)):
        said = world.http.get(f"/.well-known/oauth-authorization-server/{issuer}").json()
        assert said["dpop_signing_alg_values_supported"] == list(proofs.ALGORITHMS)
        assert "none" not in said["dpop_signing_alg_values_supported"]
