"""A proof counts when every member of it does: each is spoiled alone, and the rest stays right."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk

from entitlements.codes import Code
from entitlements.dpop import proofs
from entitlements.dpop.proofs import BadProof, Expected
from tests import seeds
from tests.proofs import Holder, part

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # what it warns of, we refuse

ADDRESS = "https://gateway.example/gw/time/mcp"
TOKEN, BODY = "an.access.token", b'{"jsonrpc":"2.0"}'
EXPECTED = Expected("POST", ADDRESS, TOKEN, BODY, needs_digest=True)
HOLDER, OTHER = Holder(), Holder()
NOW = time.time()


def made(**spoiled: Any) -> str:
    usual: dict[str, Any] = {"iat": int(NOW), "token": TOKEN, "body": BODY}
    return HOLDER.prove("POST", spoiled.pop("htu", ADDRESS), **usual | spoiled)


def judged(header: str, expected: Expected = EXPECTED, now: float = NOW) -> proofs.Proof:
    proof = proofs.read(header)
    proofs.check(proof, expected, now)
    return proof


def test_a_proof_names_its_key_by_the_thumbprint_and_ends_with_its_time() -> None:
    proof = judged(made(jti="one", nonce="n"))
    assert (proof.jti, proof.nonce, proof.thumbprint) == ("one", "n", HOLDER.key.thumbprint())
    assert proof.until.timestamp() == int(NOW) + 300


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert proofs.thumbprint({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}) == (
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"])
def test_each_algorithm_that_we_offer_is_taken(algorithm: str) -> None:
    key: Any
    if algorithm.startswith("ES"):
        key = jwk.ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}.get(algorithm, "P-521"))
    else:
        key = jwk.OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else jwk.RSAKey.generate_key(2048)
    holder = Holder(algorithm, key)
    proof = judged(holder.prove("POST", ADDRESS, iat=int(NOW), token=TOKEN, body=BODY))
    assert proof.thumbprint == holder.key.thumbprint()


CLAIMS: dict[str, dict[str, Any]] = {
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "a jti that is no text": {"jti": 7},
    "a jti that is too long": {"jti": "x" * 256},
    "a jti with a line break": {"jti": "a\nb"},
    "no htm": {"htm": None},
    "another method": {"htm": "GET"},
    "a method in lower case": {"htm": "post"},
    "no htu": {"htu": None},
    "another host": {"htu": "https://gateway.example.org/gw/time/mcp"},
    "another path": {"htu": "https://gateway.example/gw/git/mcp"},
    "a slash too many": {"htu": ADDRESS + "/"},
    "another scheme": {"htu": ADDRESS.replace("https", "http")},
    "another port": {"htu": ADDRESS.replace(".example", ".example:8443")},
    "a user in the address": {"htu": ADDRESS.replace("//", "//gateway@")},
    "an address that is no text": {"htu": [ADDRESS]},
    "an address that is too long": {"htu": ADDRESS + "?" + "x" * 2048},
    "no iat": {"iat": None},
    "an iat that is a text": {"iat": str(int(NOW))},
    "an iat that is true": {"iat": True},
    "too old": {"iat": int(NOW) - 302},
    "from the future": {"iat": int(NOW) + 302},
    "no ath": {"token": None},
    "another token's ath": {"token": "another"},
    "an ath that is no text": {"ath": 1},
    "an ath that is not ASCII": {"ath": "é" * 43},
    "no digest": {"body": None},
    "another body's digest": {"body": b"{}"},
    "a digest of another algorithm": {
        "content_digest": f"sha-512=:{base64.b64encode(hashlib.sha512(BODY).digest()).decode()}:"
    },
    "two digests": {"content_digest": f"{proofs.content_digest(BODY)}, {proofs.content_digest(b'')}"},
    "a digest that is no text": {"content_digest": None, "content-digest": proofs.content_digest(BODY)},
}
PUBLIC = HOLDER.public
HEADERS: dict[str, dict[str, Any]] = {
    "no typ": {"typ": None},
    "the typ of an access token": {"typ": "at+jwt"},
    "a typ that is no text": {"typ": ["dpop+jwt"]},
    "no key": {"jwk": None},
    "another's key": {"jwk": OTHER.public},
    "a private key": {"jwk": HOLDER.key.as_dict(private=True)},
    "a key that is a text": {"jwk": json.dumps(PUBLIC)},
    "a list of keys": {"jwk": [PUBLIC]},
    "a symmetric key": {"jwk": {"kty": "oct", "k": "AAAA"}},
    "a key with a certificate": {"jwk": {**PUBLIC, "x5c": ["AAAA"]}},
    "a key with a certificate's address": {"jwk": {**PUBLIC, "x5u": "https://evil.example"}},
    "a key for encryption": {"jwk": {**PUBLIC, "use": "enc"}},
    "a key for another algorithm": {"jwk": {**PUBLIC, "alg": "ES384"}},
    "a key without a coordinate": {"jwk": {name: value for name, value in PUBLIC.items() if name != "y"}},
    "a point that is not on the curve": {"jwk": {**PUBLIC, "y": PUBLIC["x"]}},
    "a curve that is refused": {"jwk": {**PUBLIC, "crv": "secp256k1"}},
    "a curve that is no text": {"jwk": {**PUBLIC, "crv": ["P-256"]}},
    "a coordinate that is a number": {"jwk": {**PUBLIC, "x": 5}},
    "a key name": {"kid": "k"},
    "a key's address": {"jku": "https://evil.example/keys"},
    "a certificate": {"x5c": ["AAAA"]},
    "crit": {"crit": ["exp"], "exp": 1},
    "an unencoded payload": {"b64": False},
    "compression": {"zip": "DEF"},
    "no algorithm": {"alg": None},
    "the algorithm none": {"alg": "none"},
    "a MAC": {"alg": "HS256"},
    "an algorithm of another curve": {"alg": "ES384"},
    "an algorithm of another kind": {"alg": "RS256"},
    "an algorithm that is no text": {"alg": ["ES256"]},
}


@pytest.mark.parametrize("spoiled", CLAIMS.values(), ids=CLAIMS)
def test_each_claim_counts(spoiled: dict[str, Any]) -> None:
    with pytest.raises(BadProof) as refused:
        judged(made(**spoiled))
    assert refused.value.code == Code.PROOF_INVALID


@pytest.mark.parametrize("spoiled", HEADERS.values(), ids=HEADERS)
def test_each_member_of_the_header_counts(spoiled: dict[str, Any]) -> None:
    with pytest.raises(BadProof):
        judged(made(header=spoiled))


def test_a_public_key_is_no_secret_of_a_mac() -> None:
    text = f"{part({'typ': 'dpop+jwt', 'alg': 'HS256', 'jwk': PUBLIC})}.{part({'jti': 'a'})}"
    mac = hmac.digest(json.dumps(PUBLIC).encode(), text.encode(), "sha256")
    with pytest.raises(BadProof):
        proofs.read(f"{text}.{part(mac)}")


GOOD = made()
HEAD, BODY_PART, SIGNATURE = GOOD.split(".")
FORMS: dict[str, str] = {
    "nothing": "",
    "no signature": f"{HEAD}.{BODY_PART}.",
    "a signature of zeros": f"{HEAD}.{BODY_PART}.{part(bytes(64))}",
    "another signature": f"{HEAD}.{BODY_PART}.{OTHER.prove('POST', ADDRESS).split('.')[2]}",
    "padding": GOOD + "=",
    "two proofs": f"{GOOD},{GOOD}",
    "five parts": f"{GOOD}.{HEAD}.{BODY_PART}",
    "a space": f" {GOOD}",
    "a letter that is not ASCII": GOOD + "é",
    "too large": "a" * (proofs.LARGEST + 1),
    "far too large": ".".join(["x" * 300_000] * 3),
    "a member that is there twice": f"{part(b'{"typ":"dpop+jwt","typ":"dpop+jwt"}')}.{BODY_PART}.{SIGNATURE}",
    "a deep header": f"{part(b'[' * 1000)}.{BODY_PART}.{SIGNATURE}",
    "claims that are a list": HOLDER.signed({"typ": "dpop+jwt", "alg": "ES256", "jwk": PUBLIC}, ["jti"]),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_is_no_strict_jws_is_refused(form: str) -> None:
    with pytest.raises(BadProof):
        proofs.read(form)


def test_a_weak_or_huge_rsa_key_is_refused_before_it_costs_anything() -> None:
    for size in (128, 255, 1200, 2000):
        n = base64.urlsafe_b64encode(b"\xff" * size).rstrip(b"=").decode()
        with pytest.raises(BadProof):
            proofs.read(made(header={"alg": "RS256", "jwk": {"kty": "RSA", "n": n, "e": "AQAB"}}))


def test_the_ends_of_the_window_are_inside() -> None:
    proof = proofs.read(made())
    for now in (proof.issued - 300, proof.issued + 300):
        proofs.check(proof, EXPECTED, now)
    for now in (proof.issued - 301, proof.issued + 301, float("nan")):
        with pytest.raises(BadProof):
            proofs.check(proof, EXPECTED, now)


def test_a_digest_that_is_not_asked_for_is_checked_where_there_is_a_body_and_left_alone_where_there_is_none() -> None:
    wrong = made(body=b"{}")
    with pytest.raises(BadProof):
        judged(wrong, Expected("POST", ADDRESS, TOKEN, BODY))
    judged(wrong, Expected("POST", ADDRESS, TOKEN))
    judged(made(body=None), Expected("POST", ADDRESS, TOKEN, BODY))


@pytest.mark.parametrize(
    "same",
    [
        "HTTPS://GATEWAY.Example/gw/time/mcp",
        "https://gateway.example:443/gw/time/mcp",
        "https://gateway.example/gw/time/mcp?a=b",
        "https://gateway.example/gw/time/mcp#part",
        "https://gateway.example/gw/./git/../time/mcp",
        "https://gateway.example/%67w/ti%6De/mcp",
    ],
)
def test_an_address_may_be_written_in_another_way(same: str) -> None:
    judged(made(htu=same))


@pytest.mark.parametrize(
    "none", ["", "gateway.example", "ftp://a/", "https:///path", "https://a:b/", "https://[::1/", "https://a/%zz"]
)
def test_what_is_no_address_is_refused(none: str) -> None:
    with pytest.raises(BadProof):
        proofs.normalised(none)


@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=300), max_size=60))
@settings(max_examples=seeds.cases(2_000, short=300))
def test_any_text_is_an_address_in_one_form_or_none(text: str) -> None:
    for address in (text, "https://a/" + text):
        try:
            once = proofs.normalised(address)
        except BadProof:
            continue
        assert proofs.normalised(once) == once
        assert "?" not in once
        assert "#" not in once
