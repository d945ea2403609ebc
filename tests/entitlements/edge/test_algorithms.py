"""EdDSA and RS256 beside ES256: chosen by system, signed at both issuers, published, rotated and withdrawn alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses, tasks
from entitlements.catalog import systems
from entitlements.keys import jws, public_keys, signing
from entitlements.keys.models import SigningKey
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("short_rsa_keys")]
Clock = Callable[[datetime | timedelta], datetime]
OTHERS = ("EdDSA", "RS256")


def set_to(world: World, algorithm: str) -> None:
    systems.edit_system(world.system, signing_algorithm=algorithm, by=SYSTEM)


def access_token(world: World) -> str:
    answer = world.redeem(world.id_jag())
    assert answer.status == 200, answer.body
    return str(answer.body["access_token"])


def is_active(world: World, token: str) -> bool:
    form = {"token": token, **world.credentials(world.audience)}
    return bool(world.post(f"/as/{world.system.slug}/introspect", form).body["active"])


def published(world: World, path: str) -> dict[str, str]:
    return {key["kid"]: key["alg"] for key in world.http.get(f"/{path}/jwks.json").json()["keys"]}


@pytest.mark.parametrize("algorithm", OTHERS)
def test_both_issuers_sign_for_a_system_with_its_algorithm(world: World, algorithm: str) -> None:
    set_to(world, algorithm)
    id_jag = world.id_jag()
    token = world.redeem(id_jag).body["access_token"]
    for signed, path in ((id_jag, "idp"), (token, f"as/{world.system.slug}")):
        header = worlds.header(signed)
        assert header["alg"] == algorithm
        assert published(world, path)[header["kid"]] == algorithm
        keys = public_keys.read_set(world.http.get(f"/{path}/jwks.json").json())
        unverified = jws.read(signed)
        assert jws.check(unverified, jws.choose(unverified, keys))["iss"] == addresses.issuer(path)
    assert is_active(world, token)
    assert world.http.get("/.well-known/openid-configuration/idp").json()["id_token_signing_alg_values_supported"] == [
        "ES256"
    ]


def test_another_system_stays_with_its_own_algorithm(world: World) -> None:
    before = worlds.header(access_token(world))["alg"]
    set_to(world, "RS256")
    other = systems.register_system(
        "docs", name="Docs", kind="mcp_gateway", owner=world.alice, upstream_url="https://docs.example.org/mcp",
        signing_algorithm="EdDSA", by=SYSTEM,
    )  # fmt: skip
    assert before == "ES256"
    assert set(published(world, "idp").values()) == {"ES256", "RS256", "EdDSA"}
    assert set(published(world, f"as/{other.slug}").values()) == {"EdDSA"}


def test_what_was_signed_before_a_change_counts_until_it_expires_and_no_longer(world: World, at: Clock) -> None:
    at(timedelta())
    old = access_token(world)
    set_to(world, "EdDSA")
    assert is_active(world, old)
    retired = SigningKey.objects.get(kid=worlds.header(old)["kid"])
    assert retired.state == "retired"
    assert f"key:{retired.kid}" in Event.objects.get(action="key.retired").links
    at(signing.TAIL + timedelta(seconds=1))
    assert set(published(world, f"as/{world.system.slug}").values()) == {"EdDSA"}


@pytest.mark.parametrize("algorithm", OTHERS)
def test_a_key_is_rotated_and_withdrawn_for_its_algorithm_alone(world: World, algorithm: str) -> None:
    set_to(world, algorithm)
    path, usual = f"as/{world.system.slug}", signing.active_kid("idp")
    first = worlds.header(old := access_token(world))["kid"]
    following = signing.rotate(path, by=SYSTEM)
    assert (following.algorithm, worlds.header(access_token(world))["kid"]) == (algorithm, first)
    assert signing.rotate(path, by=SYSTEM, now=True).kid == following.kid
    assert worlds.header(token := access_token(world))["kid"] == following.kid
    assert is_active(world, old)
    signing.withdraw(following.kid, by=SYSTEM, reason="leaked")
    assert not is_active(world, token)
    assert is_active(world, old)
    assert worlds.header(access_token(world))["alg"] == algorithm
    assert signing.active_kid("idp") == usual
    assert following.kid not in published(world, path)


def test_the_sweep_rotates_each_algorithm_and_retires_one_that_no_system_has_any_more(world: World, at: Clock) -> None:
    at(timedelta())
    set_to(world, "RS256")
    at(signing.ROTATE_AFTER)
    tasks.rotate_signing_keys()
    following = SigningKey.objects.filter(issuer="idp", state="next")
    assert sorted(following.values_list("algorithm", flat=True)) == ["ES256", "RS256"]
    set_to(world, "ES256")
    tasks.rotate_signing_keys()
    states = SigningKey.objects.filter(issuer="idp", algorithm="RS256").values_list("state", flat=True)
    assert set(states) == {"retired"}


@pytest.mark.parametrize("algorithm", ["ES256", *OTHERS])
def test_a_token_that_names_another_algorithm_than_its_keys_record_is_refused(world: World, algorithm: str) -> None:
    set_to(world, algorithm)
    token = access_token(world)
    for named in {"ES256", *OTHERS} - {algorithm}:
        unsigned = jws.prepare(worlds.peek(token), worlds.header(token)["kid"], named, "at+jwt")
        forged = jws.complete(unsigned, jws.read(token).signature).token
        assert not is_active(world, forged)


@pytest.mark.parametrize("algorithm", OTHERS)
def test_the_public_half_is_what_openssl_reads(world: World, algorithm: str) -> None:
    set_to(world, algorithm)
    key = SigningKey.objects.get(issuer=f"as/{world.system.slug}", state="active")
    load_pem_public_key(signing.public_pem(key.kid))
    assert not {"d", "p", "q", "dp", "dq", "qi"} & key.public.keys()
