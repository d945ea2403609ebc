"""Tokens from strangers: whatever is unusual in form, header, numbers or key is refused before it means anything."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwe, jwk
from joserfc.jws import JWSRegistry

from entitlements.keys import jws

PARAMETERS: Any = {"kid": "k", "use": "sig", "alg": "ES256"}
KEY = jws.Key("k", "ES256", jwk.ECKey.generate_key("P-256", parameters=PARAMETERS))
CLAIMS = {"iss": "a", "iat": 1000, "exp": 1300}


def part(raw: bytes | str | object) -> str:
    text = raw if isinstance(raw, bytes) else raw.encode() if isinstance(raw, str) else json.dumps(raw).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(header: object, claims: object = CLAIMS) -> str:
    """Sign anything at all with the right key."""
    signed = f"{part(header)}.{part(claims)}"
    signature = JWSRegistry(algorithms=["ES256"]).get_alg("ES256").sign(signed.encode(), KEY.material)
    return f"{signed}.{part(signature)}"


def test_what_we_sign_reads_back() -> None:
    unverified = jws.read(jws.sign(CLAIMS, KEY, "at+jwt"))
    assert (unverified.typ, unverified.kid) == ("at+jwt", "k")
    assert jws.check(unverified, KEY) == CLAIMS


def test_what_was_proven_is_proven_for_the_same_key_alone() -> None:
    token = jws.sign(CLAIMS, KEY, "at+jwt")
    assert jws.recall(token).proven_by is None
    jws.check(jws.recall(token), KEY, comes_again=True)
    recalled = jws.recall(token)
    assert (recalled.proven_by, recalled.typ, jws.check(recalled, KEY)) == (KEY, "at+jwt", CLAIMS)
    other = jws.Key(KEY.kid, KEY.algorithm, jwk.ECKey.generate_key("P-256"))
    with pytest.raises(jws.BadToken, match="does not fit"):
        jws.check(recalled, other)
    with pytest.raises(jws.BadToken, match="another algorithm"):
        jws.check(recalled, jws.Key(KEY.kid, "ES384", KEY.material))


def test_only_what_was_proven_is_kept_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jws, "MOST_PROVEN", 2)
    unproven = jws.Key("k", "ES256", jwk.ECKey.generate_key("P-256"))
    tokens = [jws.sign({**CLAIMS, "jti": str(number)}, KEY, "at+jwt") for number in range(4)]
    for token in tokens:
        with pytest.raises(jws.BadToken):
            jws.check(jws.recall(token), unproven, comes_again=True)
        assert jws.recall(token).proven_by is None
        jws.check(jws.recall(token), KEY, comes_again=True)
    assert [jws.recall(token).proven_by for token in tokens] == [None, None, KEY, KEY]
    assert jws.recall(tokens[3] + "A").proven_by is None


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk", "unheard-of"])
def test_a_header_member_that_could_choose_the_key_is_refused(member: str) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(forged({"alg": "ES256", "kid": "k", member: "x"}))


@pytest.mark.parametrize("algorithm", ["none", "NONE", "", "HS256", "HS512", "ES256K", "RS1", "es256", 256, None])
def test_an_algorithm_outside_the_list_is_refused(algorithm: object) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(forged({"alg": algorithm, "kid": "k"}))


def test_the_algorithm_is_the_keys_and_not_the_tokens() -> None:
    token = forged({"alg": "RS256", "kid": "k"})
    with pytest.raises(jws.BadToken, match="another algorithm"):
        jws.check(jws.read(token), KEY)


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    public = KEY.material.as_dict(private=False)
    token = forged({"alg": "HS256", "kid": "k", "x": public["x"]})
    with pytest.raises(jws.BadToken):
        jws.read(token)


@pytest.mark.parametrize(
    "claims",
    [
        '{"sub":"alice","sub":"mallory"}',
        '{"exp":1e400}',
        '{"exp":NaN}',
        '{"exp":Infinity}',
        '{"sub":"\\ud800"}',
        "[" * 40 + "]" * 40,
        '{"a":' + "[" * 20 + "]" * 20 + "}",
        "[]",
        '"text"',
        "{",
        b"\xff\xfe{}",
    ],
    ids=lambda claims: str(claims)[:20],
)
def test_claims_that_two_parsers_could_read_differently_are_refused(claims: bytes | str) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(forged({"alg": "ES256", "kid": "k"}, claims))


@pytest.mark.parametrize(
    "header", ['{"alg":"ES256","alg":"none"}', '{"alg":"ES256","kid":1}', '{"alg":"ES256","typ":[]}']
)
def test_a_header_that_two_parsers_could_read_differently_is_refused(header: str) -> None:
    with pytest.raises(jws.BadToken):
        jws.read(forged(header))


def test_other_spellings_of_a_token_are_refused() -> None:
    head, body, signature = jws.sign(CLAIMS, KEY, "JWT").split(".")
    for other in (
        f"{head}.{body}",
        f"{head}.{body}.",
        f".{body}.{signature}",
        f"{head}.{body}.{signature}.{signature}.x",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}\n.{signature}",
        f" {head}.{body}.{signature}",
        f"{head}.{body}.{signature}é",
        "",
        "x" * (jws.LARGEST + 1),
    ):
        with pytest.raises(jws.BadToken):
            jws.check(jws.read(other), KEY)


def test_unused_bits_of_base64_are_refused() -> None:
    token = jws.sign(CLAIMS, KEY, "JWT")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twisted = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    with pytest.raises(jws.BadToken):
        jws.read(twisted)


def test_an_encrypted_token_is_refused() -> None:
    secret = jwk.OctKey.generate_key(256)
    token = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b"{}", secret)
    with pytest.raises(jws.BadToken):
        jws.read(token)


def test_a_changed_token_is_refused() -> None:
    head, _, signature = jws.sign(CLAIMS, KEY, "JWT").split(".")
    with pytest.raises(jws.BadToken, match="signature"):
        jws.check(jws.read(f"{head}.{part({**CLAIMS, 'sub': 'root'})}.{signature}"), KEY)


def test_a_token_without_a_key_name_fits_one_key_alone() -> None:
    nameless = jws.read(forged({"alg": "ES256"}))
    assert jws.choose(nameless, [KEY]) is KEY
    other = jws.Key("o", "ES256", KEY.material)
    for keys in ([], [KEY, other]):
        with pytest.raises(jws.BadToken):
            jws.choose(nameless, keys)
    with pytest.raises(jws.BadToken):
        jws.choose(jws.read(jws.sign(CLAIMS, KEY, "JWT")), [other])
    with pytest.raises(jws.BadToken):
        jws.choose(jws.read(jws.sign(CLAIMS, KEY, "JWT")), [KEY, KEY])


@pytest.mark.parametrize(
    ("claims", "is_good"),
    [
        ({"iat": 1000, "exp": 1300}, True),
        ({"iat": 1000, "exp": 1101}, True),
        ({"iat": 1000, "exp": 1100}, False),
        ({"iat": 1000}, False),
        ({"exp": 1300}, False),
        ({"iat": 1101, "exp": 1300}, False),
        ({"iat": 1000, "exp": 1300, "nbf": 1101}, False),
        ({"iat": 1000, "exp": 1300, "nbf": 1100}, True),
        ({"iat": 1000, "exp": 1301}, False),
        ({"iat": 1000, "exp": "1300"}, False),
        ({"iat": True, "exp": 1300}, False),
        ({"iat": -5, "exp": 200}, False),
        ({"iat": 1000, "exp": 2**60}, False),
    ],
    ids=str,
)
def test_times_are_checked_to_the_second(claims: dict[str, Any], is_good: bool) -> None:  # noqa: FBT001
    if is_good:
        assert jws.check_times(claims, 1100.0, longest=300.0) == claims["exp"]
    else:
        with pytest.raises(jws.BadToken):
            jws.check_times(claims, 1100.0, longest=300.0)
