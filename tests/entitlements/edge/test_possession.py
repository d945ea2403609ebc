"""Tokens are bound to a key that the client proves: at each token endpoint, once, and for good."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from audit.context import SYSTEM
from entitlements import addresses
from entitlements.clients.models import Client
from entitlements.dpop import nonces, proofs
from entitlements.edge.grant_types import exchange, jwt_bearer
from entitlements.grants import grants
from entitlements.keys import signing
from entitlements.secrets.seal import RootKey
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken, UsedAssertion
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
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
    from tests.conformance.test_ema_resource_side import assertion  # noqa: PLC0415 - its world is this one

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


@pytest.fixture
def desk(world: World) -> Client:
    """Register a public client, with a long grant."""
    client = sign_ins.public_client(world)
    grants.revoke(world.grant.pk, by=SYSTEM, reason="a longer one")
    make.grant(world.agent, world.entitlement, people=[world.alice], lasts=timedelta(days=60))
    return client


def public(world: World, holder: Holder | None = HOLDER, at: str = "", *, nonced: bool = True, **form: str) -> Answer:
    """Send a form of the public client, with the proof of a key."""
    at = at or path(world)
    sent = {"client_id": sign_ins.CLIENT, **form}
    if holder is None:
        return world.post(f"/{at}/token", sent)
    return world.post(f"/{at}/token", sent, DPoP=proof(at, holder, nonce=nonce() if nonced else None))


def code(world: World, **question: str) -> dict[str, str]:
    back = sign_ins.agree(world, **question)
    return {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": sign_ins.BACK,
        "code_verifier": sign_ins.VERIFIER,
    }


@pytest.mark.usefixtures("desk")
def test_a_public_client_proves_with_a_nonce(world: World) -> None:
    form = code(world)
    first = public(world, nonced=False, **form)
    assert first.error == (400, "use_dpop_nonce", "proof_nonce_needed")
    assert first.headers["DPoP-Nonce"] == nonce()
    assert not worlds.refusals()
    answer = public(world, **form)
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")
    assert TokenFamily.objects.get().jkt == HOLDER.thumbprint


@pytest.mark.usefixtures("desk")
def test_the_refresh_token_of_a_public_client_is_bound_and_a_thief_without_the_key_ends_nothing(world: World) -> None:
    first = public(world, **code(world)).body["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": first}
    for holder in (None, OTHER):
        assert public(world, holder, **form).error == (400, "invalid_grant", "proof_invalid")
    second = public(world, **form)
    assert (second.status, second.body["token_type"]) == (200, "DPoP")
    assert worlds.peek(second.body["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}
    family = TokenFamily.objects.get()
    family.retired = [at - timedelta(days=1) for at in family.retired]
    family.save()
    assert public(world, OTHER, **form).error == (400, "invalid_grant", "proof_invalid")
    assert TokenFamily.objects.get().ended_at is None
    assert public(world, **form).error[2] == "refresh_token_reused"


def test_a_confidential_client_refreshes_with_any_key(world: World) -> None:
    flow.sign_in(world)
    make.rewrite(world.client, redirect_uris=sign_ins.REGISTERED)
    form = code(world, client_id=world.client.client_id)
    answer = world.post(f"/{path(world)}/token", {**form, **world.credentials(world.audience)}, DPoP=proof(path(world)))
    assert answer.body["token_type"] == "DPoP"
    assert TokenFamily.objects.get().jkt == ""
    form = {"grant_type": "refresh_token", "refresh_token": answer.body["refresh_token"]}
    for headers in ({}, {"DPoP": proof(path(world), OTHER)}):
        assert (
            world.post(f"/{path(world)}/token", {**form, **world.credentials(world.audience)}, **headers).status == 200
        )


@pytest.mark.usefixtures("desk")
def test_a_code_that_names_a_key_is_redeemed_with_it_alone(world: World) -> None:
    form = code(world, dpop_jkt=HOLDER.thumbprint)
    for holder in (None, OTHER):
        assert public(world, holder, **form).error == (400, "invalid_grant", "proof_invalid")
    assert public(world, **form).status == 200


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("named", ["x", "x" * 44, "é" * 43])
def test_what_is_no_thumbprint_is_refused_before_the_person_is_asked(world: World, named: str) -> None:
    answer = sign_ins.page(world, dpop_jkt=named)
    assert answer.status_code == 302
    assert sign_ins.sent_back(answer)["error"] == "invalid_request"


@pytest.mark.usefixtures("desk")
def test_introspection_says_to_which_key_a_token_is_bound(world: World) -> None:
    bound = at_system(world, bound_id_jag(world)).body["access_token"]
    shown = _introspect(world, path(world), world.audience, bound)
    assert (shown["token_type"], shown["cnf"]) == ("DPoP", {"jkt": HOLDER.thumbprint})
    shown = _introspect(world, path(world), world.audience, world.access_token())
    assert (shown["token_type"], "cnf" in shown) == ("Bearer", False)
    shown = _introspect(world, IDP, world.idp, bound_id_jag(world))
    assert (shown["token_type"], shown["cnf"]) == ("N_A", {"jkt": HOLDER.thumbprint})


def _introspect(world: World, at: str, audience: str, token: str) -> dict[str, Any]:
    return world.post(f"/{at}/introspect", {"token": token, **world.credentials(audience)}).body


def test_the_metadata_names_the_algorithms_of_proofs(world: World) -> None:
    for issuer in (IDP, path(world)):
        said = world.http.get(f"/.well-known/oauth-authorization-server/{issuer}").json()
        assert said["dpop_signing_alg_values_supported"] == list(proofs.ALGORITHMS)
        assert "none" not in said["dpop_signing_alg_values_supported"]


def signed_in_at_idp(world: World, holder: Holder | None = HOLDER) -> Answer:
    """Sign alice in at the identity side, at the public client."""
    back = sign_ins.agree(world, at="/idp/authorize", scope="openid offline_access", resource=None)
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": sign_ins.BACK,
        "code_verifier": sign_ins.VERIFIER,
    }
    answer = public(world, holder, IDP, **form)
    assert answer.status == 200, answer.body
    return answer


def subject(world: World, **form: str) -> dict[str, str]:
    usual = {
        "grant_type": exchange.GRANT,
        "requested_token_type": exchange.ID_JAG,
        "audience": world.audience,
        "resource": world.resource,
        "subject_token_type": exchange.REFRESH_TOKEN,
    }
    return {**usual, **form}


@pytest.mark.usefixtures("desk")
def test_ema_i_5_a_public_client_exchanges_its_bound_refresh_token_and_redeems_with_the_same_key(world: World) -> None:
    form = subject(world, subject_token=signed_in_at_idp(world).body["refresh_token"])
    answer = public(world, at=IDP, **form)
    assert answer.status == 200, answer.body
    id_jag = answer.body["access_token"]
    assert worlds.peek(id_jag)["cnf"] == {"jkt": HOLDER.thumbprint}

    redeemed = {"grant_type": jwt_bearer.GRANT, "assertion": id_jag}
    assert public(world, None, **redeemed).error[:2] == (401, "invalid_client")
    assert public(world, OTHER, **redeemed).error == (400, "invalid_grant", "proof_invalid")
    answer = public(world, **redeemed)
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")


@pytest.mark.usefixtures("desk")
def test_ema_i_5_a_public_client_exchanges_nothing_else(world: World) -> None:
    unbound = signed_in_at_idp(world, None).body
    bound = signed_in_at_idp(world).body
    before = IssuedToken.objects.count()
    refresh_form, id_form = subject(world), subject(world, subject_token_type=exchange.ID_TOKEN)
    for form, holder, error in (
        ({**refresh_form, "subject_token": bound["refresh_token"]}, None, (401, "invalid_client")),
        ({**refresh_form, "subject_token": bound["refresh_token"]}, OTHER, (400, "invalid_grant")),
        ({**refresh_form, "subject_token": unbound["refresh_token"]}, HOLDER, (400, "invalid_grant")),
        ({**id_form, "subject_token": bound["id_token"]}, HOLDER, (400, "invalid_grant")),
        ({**id_form, "subject_token": unbound["id_token"]}, HOLDER, (400, "invalid_grant")),
        ({**id_form, "subject_token": world.id_token(aud=sign_ins.CLIENT)}, HOLDER, (400, "invalid_grant")),
    ):
        assert public(world, holder, IDP, **form).error[:2] == error, form
    assert IssuedToken.objects.count() == before


@pytest.mark.usefixtures("desk")
def test_a_public_client_redeems_no_assertion_that_is_bound_to_no_key(world: World) -> None:
    unbound = worlds.peek(world.id_jag())
    now = int(clock.now().timestamp())
    said = {**unbound, "client_id": sign_ins.CLIENT, "iat": now, "exp": now + 60}
    forged = signing.sign(IDP, said, "oauth-id-jag+jwt")
    refused_once(public(world, grant_type=jwt_bearer.GRANT, assertion=forged), "invalid_grant")
