"""A sign-in at a public client is bound to its key: each refresh needs it, and such a client exchanges nothing else."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from entitlements.clients.models import Client
from entitlements.edge.grant_types import exchange, jwt_bearer
from entitlements.grants import grants
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.test_possession import (
    HOLDER,
    IDP,
    OTHER,
    at_system,
    bound_id_jag,
    nonce,
    path,
    proof,
    refused_once,
)
from tests.entitlements.edge.worlds import Answer, World
from tests.proofs import Holder


@pytest.mark.usefixtures("desk")
def test_where_public_clients_must_prove_others_need_not(world: World, settings: Settings) -> None:
    settings.DPOP_REQUIRED = "public"
    form = code(world)
    assert public(world, form, None).error == (400, "invalid_dpop_proof", "proof_invalid")
    assert public(world, form).status == 200
    assert world.exchange().status == 200


@pytest.fixture
def desk(world: World) -> Client:
    """Register a public client, with a long grant."""
    client = sign_ins.public_client(world)
    grants.revoke(world.grant.pk, by=SYSTEM, reason="a longer one")
    make.grant(world.agent, world.entitlement, people=[world.alice], lasts=timedelta(days=60))
    return client


def public(
    world: World, form: Mapping[str, str], holder: Holder | None = HOLDER, at: str = "", *, nonced: bool = True
) -> Answer:
    """Send a form of the public client, with the proof of a key."""
    at = at or path(world)
    sent = {"client_id": sign_ins.CLIENT, **form}
    if holder is None:
        return world.post(f"/{at}/token", sent)
    return world.post(f"/{at}/token", sent, DPoP=proof(at, holder, nonce=nonce() if nonced else None))


def code(world: World, **question: Any) -> dict[str, str]:
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
    first = public(world, form, nonced=False)
    assert first.error == (400, "use_dpop_nonce", "proof_nonce_needed")
    assert first.headers["DPoP-Nonce"] == nonce()
    assert not worlds.refusals()
    answer = public(world, form)
    assert (answer.status, answer.body["token_type"]) == (200, "DPoP")
    assert TokenFamily.objects.get().jkt == HOLDER.thumbprint


@pytest.mark.usefixtures("desk")
def test_the_refresh_token_of_a_public_client_is_bound_and_a_thief_without_the_key_ends_nothing(world: World) -> None:
    first = public(world, code(world)).body["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": first}
    for holder in (None, OTHER):
        assert public(world, form, holder).error == (400, "invalid_grant", "proof_invalid")
    second = public(world, form)
    assert (second.status, second.body["token_type"]) == (200, "DPoP")
    assert worlds.peek(second.body["access_token"])["cnf"] == {"jkt": HOLDER.thumbprint}
    family = TokenFamily.objects.get()
    family.retired = [at - timedelta(days=1) for at in family.retired]
    family.save()
    assert public(world, form, OTHER).error == (400, "invalid_grant", "proof_invalid")
    assert TokenFamily.objects.get().ended_at is None
    assert public(world, form).error[2] == "refresh_token_reused"


@pytest.mark.usefixtures("desk")
def test_a_bound_sign_in_is_revoked_without_a_proof(world: World) -> None:
    token = public(world, code(world)).body["refresh_token"]
    assert world.post(f"/{path(world)}/revoke", {"client_id": sign_ins.CLIENT, "token": token}).status == 200
    assert TokenFamily.objects.get().ended_at is not None


@pytest.mark.usefixtures("desk")
def test_a_sign_in_that_began_without_a_proof_is_bound_to_the_first_key_that_is_proven(world: World) -> None:
    form = {"grant_type": "refresh_token"}
    for holder, jkt in ((None, ""), (HOLDER, HOLDER.thumbprint)):
        sent = form if "refresh_token" in form else code(world)
        answer = public(world, sent, holder)
        assert (answer.status, TokenFamily.objects.get().jkt) == (200, jkt)
        form["refresh_token"] = answer.body["refresh_token"]
    for holder in (None, OTHER):
        assert public(world, form, holder).error == (400, "invalid_grant", "proof_invalid")
    assert public(world, form).status == 200


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
        assert public(world, form, holder).error == (400, "invalid_grant", "proof_invalid")
    assert public(world, form).status == 200


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


def signed_in_at_idp(world: World, holder: Holder | None = HOLDER) -> Answer:
    """Sign alice in at the identity side, at the public client."""
    back = sign_ins.agree(world, at="/idp/authorize", scope="openid offline_access", resource=None)
    form = {
        "grant_type": "authorization_code",
        "code": back["code"],
        "redirect_uri": sign_ins.BACK,
        "code_verifier": sign_ins.VERIFIER,
    }
    answer = public(world, form, holder, IDP)
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
    answer = public(world, form, at=IDP)
    assert answer.status == 200, answer.body
    id_jag = answer.body["access_token"]
    assert worlds.peek(id_jag)["cnf"] == {"jkt": HOLDER.thumbprint}

    redeemed = {"grant_type": jwt_bearer.GRANT, "assertion": id_jag}
    assert public(world, redeemed, None).error[:2] == (401, "invalid_client")
    assert public(world, redeemed, OTHER).error == (400, "invalid_grant", "proof_invalid")
    answer = public(world, redeemed)
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
        assert public(world, form, holder, IDP).error[:2] == error, form
    assert IssuedToken.objects.count() == before


@pytest.mark.usefixtures("desk")
def test_a_public_client_redeems_no_assertion_that_is_bound_to_no_key(world: World) -> None:
    unbound = worlds.peek(world.id_jag())
    now = int(clock.now().timestamp())
    said = {**unbound, "client_id": sign_ins.CLIENT, "iat": now, "exp": now + 60}
    forged = signing.sign(IDP, said, "oauth-id-jag+jwt")
    refused_once(public(world, {"grant_type": jwt_bearer.GRANT, "assertion": forged}), "invalid_grant")
