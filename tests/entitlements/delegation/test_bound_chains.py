"""Delegation and proofs of possession: whose key an ID-JAG for another agent is bound to, and what may be delegated."""

from __future__ import annotations

import pytest

from entitlements.edge.grant_types import exchange
from entitlements.tokens.models import IssuedToken, UsedAssertion
from tests import shared
from tests.entitlements.delegation import chains
from tests.entitlements.delegation.chains import Company, Member, acting
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.test_bound_sign_ins import code, public, subject
from tests.entitlements.edge.test_possession import HOLDER, IDP, OTHER, at_idp, path, proof
from tests.entitlements.edge.worlds import Answer

pytestmark = pytest.mark.django_db


made_world, world = shared.world(chains.company)


@pytest.fixture
def front(world: Company) -> Member:
    return world.members[0]


@pytest.fixture
def back(world: Company) -> Member:
    return world.members[1]


def redeem(world: Company, member: Member, id_jag: str, header: str = "") -> Answer:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": id_jag}
    sent = {**form, **member.credentials(world.audience)}
    return world.post(f"/{path(world)}/token", sent, **({"DPoP": header} if header else {}))


def test_ema_i_5_a_public_client_delegates_by_an_access_token_that_is_bound_to_its_key_alone(
    world: Company, front: Member
) -> None:
    sign_ins.public_client(world)

    def delegated(token: str) -> Answer:
        form = subject(world, subject_token=token, subject_token_type=exchange.ACCESS_TOKEN)
        return public(world, {**form, **acting(front.actor_token(sign_ins.CLIENT))}, at=IDP)

    stolen, bound = (public(world, code(world), holder).body["access_token"] for holder in (None, HOLDER))
    before = IssuedToken.objects.count()
    assert delegated(stolen).error == (400, "invalid_grant", "proof_invalid")
    assert IssuedToken.objects.count() == before
    answer = delegated(bound)
    assert answer.status == 200, answer.body


def test_an_access_token_is_not_exchanged_for_an_id_jag_of_its_own_agent(
    world: Company, front: Member, back: Member
) -> None:
    first, second = chains.chain(world, [front, back])
    before = worlds.standing()
    for holder, token in ((front, first), (back, second)):
        assert holder.exchange(token, holder).error == (400, "invalid_request", "delegation_cycle")
    assert worlds.standing() == before


def test_an_id_jag_for_another_agent_is_bound_to_the_key_that_its_actor_token_names(
    world: Company, front: Member
) -> None:
    actor = acting(front.actor_token(world.client.client_id, cnf={"jkt": OTHER.thumbprint}))
    answer = at_idp(world, HOLDER, **actor)
    assert answer.status == 200, answer.body
    id_jag = str(answer.body["access_token"])

    assert worlds.peek(id_jag)["cnf"] == {"jkt": OTHER.thumbprint}
    assert IssuedToken.objects.get().jkt == OTHER.thumbprint
    assert UsedAssertion.objects.filter(issuer=f"dpop:{HOLDER.thumbprint}").count() == 1
    for header in ("", proof(path(world), HOLDER)):
        assert redeem(world, front, id_jag, header).error == (400, "invalid_grant", "proof_invalid")
    answer = redeem(world, front, id_jag, proof(path(world), OTHER))
    assert (answer.status, worlds.peek(answer.body["access_token"])["cnf"]) == (200, {"jkt": OTHER.thumbprint})


def test_an_id_jag_for_another_agent_is_not_bound_to_the_key_of_the_one_that_presents(
    world: Company, front: Member
) -> None:
    header = proof(IDP)
    form = world.exchange_form(**acting(front.actor_token(world.client.client_id)))
    answer = world.post("/idp/token", form, DPoP=header)
    assert answer.status == 200, answer.body
    id_jag = str(answer.body["access_token"])

    assert "cnf" not in worlds.peek(id_jag)
    assert IssuedToken.objects.get().jkt == ""
    again = world.exchange_form(**acting(front.actor_token(world.client.client_id)))
    assert world.post("/idp/token", again, DPoP=header).error == (400, "invalid_dpop_proof", "proof_invalid")
    assert redeem(world, front, id_jag).body["token_type"] == "Bearer"


def test_a_bound_access_token_is_delegated_on_with_the_proof_of_its_own_key(
    world: Company, front: Member, back: Member
) -> None:
    held = redeem(world, front, str(chains.delegate(world, front).body["access_token"]), proof(path(world)))
    token = str(held.body["access_token"])

    def delegated(header: str) -> Answer:
        form = {
            "subject_token": token,
            "subject_token_type": exchange.ACCESS_TOKEN,
            **front.credentials(world.idp),
            **acting(back.actor_token(front.client.client_id, cnf={"jkt": OTHER.thumbprint})),
        }
        return world.post("/idp/token", world.exchange_form(**form), DPoP=header)

    assert delegated(proof(IDP, OTHER)).error == (400, "invalid_grant", "proof_invalid")
    answer = delegated(proof(IDP))
    assert answer.status == 200, answer.body
    assert worlds.peek(answer.body["access_token"])["cnf"] == {"jkt": OTHER.thumbprint}


@pytest.mark.parametrize("cnf", [{}, {"jkt": "short"}, {"x5t#S256": "x" * 43}, "key"], ids=str)
def test_an_actor_token_that_names_its_key_in_another_way_is_refused(
    world: Company, front: Member, cnf: object
) -> None:
    answer = world.exchange(**acting(front.actor_token(world.client.client_id, cnf=cnf)))
    assert answer.error == (400, "invalid_grant", "actor_token_invalid")
