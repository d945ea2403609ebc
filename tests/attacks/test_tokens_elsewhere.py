"""Tokens and keys carried from the door they are for to every other one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.grants import grants
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World

pytestmark = pytest.mark.django_db

PARTNER = "https://idp.partner.example"


def doors(world: World) -> dict[str, Callable[[str], Answer]]:
    slug = world.system.slug
    return {
        "exchange": lambda token: world.exchange(subject_token=token),
        "redeem": world.redeem,
        "client": lambda token: world.alone(
            client_assertion=token,
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        "introspect": lambda t: world.post(f"/as/{slug}/introspect", {"token": t, **world.credentials(world.audience)}),
        "introspect at idp": lambda t: world.post("/idp/introspect", {"token": t, **world.credentials(world.idp)}),
        "revoke": lambda t: world.post(f"/as/{slug}/revoke", {"token": t, **world.credentials(world.audience)}),
        "revoke at idp": lambda t: world.post("/idp/revoke", {"token": t, **world.credentials(world.idp)}),
    }


def opened(door: str, answer: Answer) -> bool:
    if answer.status != 200 or door.startswith("revoke"):
        return False
    return bool(answer.body.get("active", True))


def test_a_good_token_opens_its_own_doors_alone(world: World) -> None:
    kinds: dict[str, tuple[Callable[[], str], set[str]]] = {
        "id_token": (world.id_token, {"exchange"}),
        "id_jag": (world.id_jag, {"redeem", "introspect at idp"}),
        "access_token": (world.access_token, {"introspect"}),
        "assertion": (lambda: world.assertion(world.audience), set()),
    }
    for kind, (issue, own) in kinds.items():
        found = {door for door, knock in doors(world).items() if opened(door, knock(issue()))}
        assert found - {"client"} == own, kind


def test_the_key_of_one_issuer_signs_for_no_other(world: World) -> None:
    other = systems.register_system(
        "other", name="O", kind="mcp_gateway", owner=make.person(), upstream_url="https://o.example/mcp", by=SYSTEM
    )
    slug = world.system.slug
    access, id_jag = worlds.peek(world.access_token()), worlds.peek(world.id_jag())
    forged = [signing.sign(path, access, "at+jwt") for path in ("idp", f"as/{other.slug}")]
    for token in forged:
        answer = world.post(f"/as/{slug}/introspect", {"token": token, **world.credentials(world.audience)})
        assert answer.body == {"active": False}
    for path in (f"as/{slug}", f"as/{other.slug}"):
        answer = world.redeem(signing.sign(path, id_jag, "oauth-id-jag+jwt"))
        assert answer.error == (400, "invalid_grant", "token_invalid")


def test_a_receipt_of_ours_is_no_sign_in(world: World) -> None:
    now = int(time.time())
    claims = {"iss": world.idp, "sub": "alice", "aud": world.client.client_id, "iat": now, "exp": now + 60}
    for typ in ("mandate-receipt+jwt", "at+jwt", "oauth-id-jag+jwt"):
        assert world.exchange(subject_token=signing.sign("idp", claims, typ)).status == 400


@pytest.mark.parametrize("auth_time", [2**52, 253402300800 * 3, 1e300, -1, 0, True, "soon", 4102444800])
def test_a_partners_sign_in_in_no_calendar_is_refused(world: World, auth_time: object) -> None:
    key = worlds.new_key("p1")
    issuer = trust.begin(PARTNER, purpose=TrustedIssuer.Purpose.ID_JAG, jwks=worlds.key_set(key), by=SYSTEM)
    people.link_identity(world.alice, issuer, "p-alice", by=SYSTEM)
    now = int(time.time())
    claims = {
        "iss": PARTNER,
        "sub": "p-alice",
        "aud": world.audience,
        "client_id": world.client.client_id,
        "jti": "j1",
        "iat": now,
        "exp": now + 60,
        "resource": world.resource,
        "auth_time": auth_time,
    }
    answer = world.redeem(jws.sign(claims, key, "oauth-id-jag+jwt"))

    assert answer.error[:2] == (400, "invalid_grant")
    assert world.redeem(jws.sign({**claims, "auth_time": now - 5}, key, "oauth-id-jag+jwt")).status == 200


def test_another_clients_assertion_session_and_token_are_of_no_use(world: World) -> None:
    thief = worlds.new_key("thief")
    agent = make.agent("thief-bot")
    make.client(agent, "thief", jwks=worlds.key_set(thief))
    make.grant(agent, world.entitlement, people=[world.alice])
    id_jag, access, id_token = world.id_jag(), world.access_token(), world.id_token()
    world.client, world.client_key = type(world.client).objects.get(client_id="thief"), thief

    assert world.redeem(id_jag).error == (400, "invalid_grant", "client_mismatch")
    assert world.exchange(subject_token=id_token).error == (400, "invalid_grant", "audience_mismatch")
    slug = world.system.slug
    assert world.post(f"/as/{slug}/introspect", {"token": access, **world.credentials(world.audience)}).body == {
        "active": False
    }
    world.post(f"/as/{slug}/revoke", {"token": access, **world.credentials(world.audience)})
    world.post("/idp/revoke", {"token": id_jag, **world.credentials(world.idp)})
    assert not IssuedToken.objects.exclude(revoked_at=None).exists()


def test_a_person_who_left_the_group_is_acted_for_no_longer(world: World) -> None:
    bob = make.person("bob")
    group = make.group(world.alice, bob)
    grants.revoke(world.grant.pk, by=SYSTEM, reason="instead the group")
    make.grant(world.agent, world.entitlement, groups=[group])
    id_jag, access = world.id_jag(), world.access_token()
    people.leave_group(group, world.alice, by=SYSTEM, reason="moved")

    assert world.redeem(id_jag).error == (400, "access_denied", "no_grant")
    assert world.exchange().error == (400, "access_denied", "no_grant")
    slug = world.system.slug
    seen = world.post(f"/as/{slug}/introspect", {"token": access, **world.credentials(world.audience)})
    assert seen.body == {"active": False}
