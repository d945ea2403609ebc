"""Public keys from outside: one rule, by whichever door a key comes in."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk

from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import own_connection
from entitlements.keys import jws, public_keys
from entitlements.trusted_issuers import issuers, trust
from entitlements.trusted_issuers.models import TrustedIssuer
from entitlements.upstream import egress
from tests import make
from tests.entitlements.api import client as api

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # what it warns of, we refuse

GOOD = {**make.PUBLIC_KEY, "kid": "k"}
ED25519: Mapping[str, Any] = jwk.OKPKey.generate_key("Ed25519").as_dict(private=False)
NEUTRAL, OF_ORDER_EIGHT = b"\x01" + bytes(31), bytes.fromhex(
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
)  # fmt: skip


def part(value: bytes | int) -> str:
    raw = value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@functools.cache
def modulus(bits: int) -> int:
    return rsa.generate_private_key(65537, bits).public_key().public_numbers().n


def rsa_key(bits: int = 2048, exponent: int = 65537, **more: object) -> dict[str, Any]:
    return {"kty": "RSA", "n": part(modulus(bits)), "e": part(exponent), **more}


WEAK: Mapping[str, Any] = {
    "RSA of 1,024 bits": rsa_key(1024),
    "RSA of 20,000 bits": {"kty": "RSA", "e": "AQAB", "n": part(2**19_999 + 1)},
    "RSA with exponent 3": rsa_key(exponent=3),
    "RSA with an even exponent": rsa_key(exponent=65538),
    "RSA with an exponent of 40 bits": rsa_key(exponent=2**40 + 1),
    "RSA with an even modulus": {"kty": "RSA", "e": "AQAB", "n": part(2**2047 + 2)},
    "point off its curve": {**GOOD, "x": GOOD["y"]},
    "no point": {**GOOD, "x": "AA", "y": "AA"},
    "no coordinates": {"kty": "EC", "crv": "P-256"},
    "coordinates that are numbers": {**GOOD, "x": 1},
    "Ed25519 point off its curve": {"kty": "OKP", "crv": "Ed25519", "x": part(b"\x02" + bytes(31))},
    "neutral Ed25519 point": {"kty": "OKP", "crv": "Ed25519", "x": part(NEUTRAL)},
    "Ed25519 point of order four": {"kty": "OKP", "crv": "Ed25519", "x": part(bytes(32))},
    "Ed25519 point of order eight": {"kty": "OKP", "crv": "Ed25519", "x": part(OF_ORDER_EIGHT)},
    "larger than any key": {**GOOD, "x5c": ["A" * public_keys.LARGEST_KEY]},
    "name with NUL": {**GOOD, "kid": "\0"},
    "name that is no text": {**GOOD, "kid": 7},
    "no object": "text",
}
PRIVATE: Mapping[str, Any] = {
    "private": {**GOOD, "d": "AA"},
    "private and malformed": {**GOOD, "d": None},
    "symmetric part": {**GOOD, "k": "AA"},
}
FOR_SOMETHING_ELSE: Mapping[str, Any] = {
    "P-256 with RS256": {**GOOD, "alg": "RS256"},
    "P-384's algorithm on P-256": {**GOOD, "alg": "ES384"},
    "RSA with ES256": rsa_key(alg="ES256"),
    "RSA with a curve": rsa_key(crv="P-256"),
    "OKP with P-256": {**GOOD, "kty": "OKP"},
    "EC with Ed25519": {**ED25519, "kty": "EC"},
    "an algorithm that is refused": {**GOOD, "alg": "none"},
    "for encryption": {**GOOD, "use": "enc"},
    "for signing only": {**GOOD, "key_ops": ["sign"]},
    "operations that are no list": {**GOOD, "key_ops": "verify"},
    "curve that is refused": {**GOOD, "crv": "secp256k1"},
    "symmetric": {"kty": "oct"},
}


@pytest.mark.parametrize("member", [*WEAK.values(), *PRIVATE.values()], ids=[*WEAK, *PRIVATE])
def test_a_weak_or_private_key_is_refused_and_so_is_the_set_that_holds_it(member: object) -> None:
    for key_set in ({"keys": [member]}, {"keys": [GOOD, member]}):
        with pytest.raises(public_keys.BadKey):
            public_keys.read_set(key_set)
        with pytest.raises(public_keys.BadKey):
            public_keys.check_registered(key_set)


@pytest.mark.parametrize("member", FOR_SOMETHING_ELSE.values(), ids=FOR_SOMETHING_ELSE)
def test_a_key_for_something_else_is_left_out_of_an_issuers_set_and_never_registered(member: object) -> None:
    assert [key.kid for key in public_keys.read_set({"keys": [member, GOOD]})] == ["k"]
    with pytest.raises(public_keys.BadKey):
        public_keys.check_registered({"keys": [member]})


@pytest.mark.parametrize(
    ("member", "algorithm"),
    [
        (GOOD, "ES256"),
        ({**GOOD, "use": "sig", "alg": "ES256", "key_ops": ["verify"]}, "ES256"),
        (jwk.ECKey.generate_key("P-521").as_dict(private=False), "ES512"),
        (ED25519, "EdDSA"),
        (rsa_key(), "RS256"),
        (rsa_key(alg="PS256"), "PS256"),
    ],
)
def test_a_usable_key_is_read_with_its_one_algorithm(member: Mapping[str, Any], algorithm: str) -> None:
    public_keys.check_registered({"keys": [member]})
    assert public_keys.read(member).algorithm == algorithm
    assert public_keys.read_set({"keys": [member]}, set(jws.ALGORITHMS) - {algorithm}) == ()


@pytest.mark.parametrize(
    "key_set",
    [
        None, [], {}, {"keys": {}}, {"keys": []},
        {"keys": [GOOD, GOOD]},
        {"keys": [GOOD, dict(ED25519)]},
        {"keys": [{**GOOD, "kid": str(each)} for each in range(public_keys.MOST_REGISTERED + 1)]},
    ],
    ids=["nothing", "a list", "no keys", "no list", "empty", "one name twice", "no name", "too many"],
)  # fmt: skip
def test_a_set_from_which_no_key_could_be_chosen_is_not_registered(key_set: object) -> None:
    with pytest.raises(public_keys.BadKey):
        public_keys.check_registered(key_set)


@pytest.mark.django_db
def test_no_door_registers_a_client_with_a_weak_key() -> None:
    analyst = make.analyst()
    for member, code in [(rsa_key(1024), "bad_key"), (FOR_SOMETHING_ELSE["P-256 with RS256"], "bad_key"),
                         (PRIVATE["private"], "private_key_given")]:  # fmt: skip
        answer = api.proven(analyst).post("/api/v1/clients", {"client_id": "c1", "jwks": {"keys": [member]}})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        with pytest.raises(public_keys.BadKey):
            clients.register("c1", agent=None, auth=Client.Auth.PRIVATE_KEY_JWT, jwks={"keys": [member]}, by=SYSTEM)
    with pytest.raises(public_keys.BadKey):
        clients.register("c1", agent=None, auth=Client.Auth.PRIVATE_KEY_JWT, by=SYSTEM)
    assert not Client.objects.exists()
    assert not Event.objects.filter(action="client.registered").exists()


@pytest.mark.django_db
@pytest.mark.parametrize("purpose", TrustedIssuer.Purpose.values)
def test_no_issuer_is_trusted_by_a_weak_key_or_by_none_that_it_may_sign_with(purpose: str) -> None:
    for keys, algorithms in [([WEAK["point off its curve"]], []), ([PRIVATE["private"]], []), ([GOOD], ["RS256"]),
                             ([FOR_SOMETHING_ELSE["P-256 with RS256"]], []), ([], [])]:  # fmt: skip
        with pytest.raises(public_keys.BadKey):
            trust.begin("https://a.example", purpose=purpose, jwks={"keys": keys}, algorithms=algorithms, by=SYSTEM)
    made = trust.begin("https://a.example", purpose=purpose, jwks={"keys": [GOOD]}, by=SYSTEM)
    assert (made.jwks, TrustedIssuer.objects.count()) == ({"keys": [GOOD]}, 1)


@pytest.mark.django_db
def test_a_weak_key_that_was_stored_before_checks_no_signature() -> None:
    key = jws.Key("k", "ES256", jwk.ECKey.generate_key("P-256", parameters={"kid": "k"}))
    public = key.material.as_dict(private=False)
    TrustedIssuer.objects.create(
        issuer="https://a.example", purpose="id_jag", jwks={"keys": [public, rsa_key(1024)]}, algorithms=["ES256"]
    )
    trusted = own_connection.run(issuers.trusted(own_connection.READS, "https://a.example", "id_jag"))
    assert trusted is not None
    token = jws.read(jws.sign({"iss": "a"}, key, "JWT"))
    with pytest.raises(public_keys.BadKey):
        own_connection.run(issuers.check(token, trusted, egress.fetch_json))
