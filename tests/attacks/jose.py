"""What is done to a good JWS in each way that a verifier somewhere fell for. Pure: tokens in, tokens out.

Most attacks on the form are signed by the right key, so that nothing but the look at the form can refuse them.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwe, jwk

from entitlements.keys import jws
from entitlements.signers import algorithms

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
MILLION: Final = 1_000_000
_EVIL: Final = "https://evil.example/keys"


def part(raw: bytes | Mapping[str, Any]) -> str:
    """Write one part of a compact JWS."""
    whole = raw if isinstance(raw, bytes) else json.dumps(dict(raw), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def raw(written: str) -> bytes:
    """Read one part of a compact JWS, without any check."""
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))


@functools.cache
def new_key(algorithm: str, kid: str = "k1") -> jws.Key:
    """Make a key for an algorithm, once for each name: RSA keys take long, even the shortest that is taken."""
    if algorithm != algorithms.RS256:
        return jws.Key(kid, algorithm, algorithms.new_key(kid, algorithm))
    parameters: Any = algorithms.described(kid, algorithm)
    return jws.Key(kid, algorithm, jwk.RSAKey.generate_key(2048, parameters=parameters, auto_kid=False))


@dataclass(frozen=True)
class Genuine:
    """A good token, taken apart, and the key that signed it."""

    token: str
    key: jws.Key

    @property
    def header(self) -> dict[str, Any]:
        """What its header says."""
        found: dict[str, Any] = json.loads(raw(self.token.split(".")[0]))
        return found

    @property
    def body(self) -> bytes:
        """Its claims, as they are written."""
        return raw(self.token.split(".")[1])

    def signed(
        self,
        *,
        header: bytes | Mapping[str, Any] | None = None,
        body: bytes | None = None,
        by: jws.Key | None = None,
        **more: object,
    ) -> str:
        """Sign another header or other claims: by the right key, unless another is named."""
        key = by or self.key
        head = header if header is not None else {**self.header, **more}
        text = f"{part(head)}.{part(self.body if body is None else body)}"
        return f"{text}.{part(algorithms.implementation(key.algorithm).sign(text.encode(), key.material))}"

    def with_signature(self, signature: bytes) -> str:
        """Put another signature to it."""
        return f"{self.token.rpartition('.')[0]}.{part(signature)}"


def forms(genuine: Genuine) -> dict[str, str]:
    """Return the attacks on the form of a token, which are the same whatever its algorithm."""
    return {
        **_algorithms(genuine),
        **_headers(genuine),
        **_claims(genuine),
        **_spellings(genuine),
        **_encrypted(genuine),
    }


def _algorithms(genuine: Genuine) -> dict[str, str]:
    text, header = genuine.token.rpartition(".")[0].partition(".")[2], genuine.header
    public: Any = genuine.key.material
    secrets = {
        "PEM": public.as_pem(private=False),
        "JWK": json.dumps(public.as_dict(private=False)).encode(),
        "number": raw(public.as_dict(private=False).get("x") or public.as_dict(private=False)["n"]),
    }
    unsigned = {
        f"unsigned, {name!r} with {signature!r}": f"{part({**header, 'alg': name})}.{text}.{signature}"
        for name in ("none", "None", "nOnE", "", None)
        for signature in ("", "AA")
    }
    shared = {}
    for name, secret in secrets.items():
        over = f"{part({**header, 'alg': 'HS256'})}.{text}"
        shared[f"HS256 by the public {name}"] = f"{over}.{part(hmac.digest(secret, over.encode(), hashlib.sha256))}"
    others = {
        f"the right key, named {name!r}": genuine.signed(alg=name)
        for name in (*sorted(jws.ALGORITHMS - {genuine.key.algorithm}), "ES256K", "RS1", "dir", ["ES256"], 256)
    }
    by_mine = {
        f"my key of {name} under their name": genuine.signed(by=new_key(name, "mine"), alg=name)
        for name in algorithms.OURS
    }
    return {**unsigned, **shared, **others, **by_mine}


def _headers(genuine: Genuine) -> dict[str, str]:
    mine = new_key(genuine.key.algorithm, "mine")
    own = mine.material.as_dict(private=False)
    members: dict[str, object] = {
        "jwk": own,
        "jku": _EVIL,
        "x5u": _EVIL,
        "x5c": [base64.b64encode(b"certificate").decode()],
        "crit": ["exp"],
        "b64": True,
        "zip": "DEF",
        "enc": "A256GCM",
        "epk": own,
        "p2c": 2**31 - 1,
        "unheard-of": 1,
    }
    head = json.dumps(genuine.header)[1:]
    return {
        **{f"{name} in the header": genuine.signed(**{name: value}) for name, value in members.items()},
        **{f"{name}, signed by mine": genuine.signed(by=mine, **{name: value}) for name, value in members.items()},
        "mine by its own name": genuine.signed(by=mine, kid="mine"),
        "crit of b64": genuine.signed(crit=["b64"], b64=False),
        "two alg": genuine.signed(header=b'{"alg":"none",' + head.encode()),
        "two kid": genuine.signed(header=b'{"kid":"other",' + head.encode()),
        "two kid, one escaped": genuine.signed(header=b'{"\\u006bid":"other",' + head.encode()),
        "kid as a path": genuine.signed(kid="../../dev/null"),
        "kid as a statement": genuine.signed(kid="' OR 1=1 --"),
        "kid that is none": genuine.signed(kid=None),
        "kid that is a list": genuine.signed(kid=[genuine.key.kid]),
        "kid with NUL": genuine.signed(kid="a\x00b"),
        "typ that is a list": genuine.signed(typ=[genuine.header.get("typ")]),
        "a header of 8 kB": genuine.signed(x5t="a" * 8192),
        "a header that is a list": genuine.signed(header=b"[]"),
    }


def _claims(genuine: Genuine) -> dict[str, str]:
    rest = genuine.body.strip()[1:]
    beginnings = {
        "exp twice": b'{"exp":9999999999,',
        "iss twice": b'{"iss":"https://evil.example",',
        "iss twice, one escaped": b'{"\\u0069ss":"https://evil.example",',
        "a name twice inside": b'{"more":{"a":1,"a":2},',
        "a number beyond a double": b'{"more":1e400,',
        "NaN": b'{"more":NaN,',
        "Infinity": b'{"more":Infinity,',
        "-Infinity": b'{"more":-Infinity,',
        "a number of 5,000 digits": b'{"more":' + b"9" * 5000 + b",",
        "half a surrogate pair": b'{"more":"\\ud800",',
        "NUL": b'{"more":"\\u0000",',
        "bytes that are no UTF-8": b'{"more":"\xff",',
        "a byte order mark": b"\xef\xbb\xbf{",
        "a comment": b"{/* */",
        "deep lists": b'{"more":' + b"[" * 40 + b"]" * 40 + b",",
        "deep objects": b'{"more":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b",",
    }
    whole = {
        "5,000 lists that never close": b"[" * 5000,
        "a list": b"[]",
        "a text": b'"text"',
        "nothing": b"",
        "more after the end": genuine.body + b"{}",
        "half of it": genuine.body[: len(genuine.body) // 2],
    }
    return {
        **{f"claims with {name}": genuine.signed(body=begun + rest) for name, begun in beginnings.items()},
        **{f"claims that are {name}": genuine.signed(body=body) for name, body in whole.items()},
    }


def _spellings(genuine: Genuine) -> dict[str, str]:
    head, body, signature = genuine.token.split(".")
    flattened = {"protected": head, "payload": body, "signature": signature}
    return {
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{genuine.token}.AA",
        "five parts": f"{genuine.token}.AA.AA",
        "no header": f".{body}.{signature}",
        "no claims": f"{head}..{signature}",
        "padded": f"{head}.{body}=.{signature}",
        "a space inside": f"{head}. {body}.{signature}",
        "a letter that is no ASCII": f"{head}.{body}.{signature[:-1]}é",
        "unused bits of base64": _with_unused_bits(genuine),
        "JSON, flattened": json.dumps(flattened),
        "JSON, general": json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        "20 kB": genuine.signed(body=genuine.body.strip()[:-1] + b',"more":"' + b"a" * 20_000 + b'"}'),
        "20 kB of signature": genuine.with_signature(b"\x00" * 15_000),
    }


def _with_unused_bits(genuine: Genuine) -> str:
    """Spell the header otherwise: the last letter of a part that ends within a group has bits that mean nothing."""
    spaces = next(n for n in range(3) if (len(json.dumps(genuine.header)) + n) % 3)
    text = json.dumps(genuine.header).encode() + b" " * spaces
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    head = part(text)
    spelled = f"{head[:-1]}{alphabet[alphabet.index(head[-1]) ^ 1]}.{part(genuine.body)}"
    made = algorithms.implementation(genuine.key.algorithm).sign(spelled.encode(), genuine.key.material)
    return f"{spelled}.{part(made)}"


def _encrypted(genuine: Genuine) -> dict[str, str]:
    secret = jwk.OctKey.generate_key(256)
    header = {"alg": "dir", "enc": "A256GCM", "cty": "JWT", "kid": genuine.key.kid}
    slow = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2s": "c2FsdHNhbHQ", "p2c": 2**31 - 1}
    return {
        "JWE around it": jwe.encrypt_compact(header, genuine.token, secret),
        "JWE that is a bomb": jwe.encrypt_compact({**header, "zip": "DEF"}, b"a" * 200_000, secret),
        "JWE that takes two thousand million rounds": f"{part(slow)}.{part(b'k' * 40)}.AAAA.AAAA.AAAA",
    }


def signatures(genuine: Genuine) -> dict[str, str]:
    """Return the attacks on the signature alone, by the algorithm of the key."""
    good = raw(genuine.token.rpartition(".")[2])
    size = len(good)
    lengths = {
        "of one byte": good[:1],
        "cut by a byte": good[:-1],
        "with a byte more": good + b"\x00",
        "with a byte before it": b"\x00" + good,
        "twice": good * 2,
        "that is zero": b"\x00" * size,
        "that is all ones": b"\xff" * size,
        "with one bit turned": bytes([good[0] ^ 1]) + good[1:],
        "of other claims": raw(genuine.signed(body=b"{}").rpartition(".")[2]),
    }
    special = {"ES256": _of_ecdsa, "EdDSA": _of_eddsa, "RS256": _of_rsa}[genuine.key.algorithm](genuine, good)
    return {f"signature {name}": genuine.with_signature(made) for name, made in {**lengths, **special}.items()}


def twin(genuine: Genuine) -> str:
    """Return the other signature that is right by ECDSA's mathematics: the same token once more, and no other one."""
    good = raw(genuine.token.rpartition(".")[2])
    return genuine.with_signature(good[:32] + (P256_ORDER - int.from_bytes(good[32:])).to_bytes(32))


def _of_ecdsa(_: Genuine, good: bytes) -> dict[str, bytes]:
    r, s = int.from_bytes(good[:32]), int.from_bytes(good[32:])
    pairs = {
        "psychic, 0 and 1": (0, 1),
        "psychic, 1 and 0": (1, 0),
        "psychic, the order twice": (P256_ORDER, P256_ORDER),
        "psychic, the order and 1": (P256_ORDER, 1),
        "psychic, 1 and the order": (1, P256_ORDER),
        "turned about": (s, r),
        "with r turned": (P256_ORDER - r, s),
    }
    return {
        **{name: a.to_bytes(32) + b.to_bytes(32) for name, (a, b) in pairs.items()},
        "in DER": encode_dss_signature(r, s),
        "psychic, in DER": encode_dss_signature(0, 0),
        "of three numbers": good + good[:32],
        "padded to 48 bytes each": good[:32].rjust(48, b"\x00") + good[32:].rjust(48, b"\x00"),
    }


def _of_eddsa(_: Genuine, good: bytes) -> dict[str, bytes]:
    nonce, s = good[:32], int.from_bytes(good[32:], "little")
    neutral = b"\x01" + b"\x00" * 31
    return {
        "with the order added": nonce + (s + ED25519_ORDER).to_bytes(32, "little"),
        "with the order added twice": nonce + (s + 2 * ED25519_ORDER).to_bytes(32, "little"),
        "psychic, the neutral point": neutral + b"\x00" * 32,
        "of the neutral point": neutral + good[32:],
        "with the sign of R turned": nonce[:31] + bytes([nonce[31] ^ 0x80]) + good[32:],
        "turned about": good[32:] + nonce,
    }


def _of_rsa(genuine: Genuine, good: bytes) -> dict[str, bytes]:
    numbers: Any = genuine.key.material
    modulus = int.from_bytes(raw(numbers.as_dict(private=False)["n"]))
    size, value = len(good), int.from_bytes(good)
    digest = hashlib.sha256(genuine.token.rpartition(".")[0].encode()).digest()
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    return {
        "that is one": (1).to_bytes(size),
        "that is the modulus": modulus.to_bytes(size),
        "that is the modulus less one": (modulus - 1).to_bytes(size),
        "with the modulus added": (value + modulus).to_bytes(size + 1),
        "turned about": (modulus - value).to_bytes(size),
        "that is the padded digest itself": b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info,
    }
