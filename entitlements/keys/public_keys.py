"""Public keys that come from outside: one rule for all of them, whether registered, pinned or fetched. Pure.

A key is taken when its type, curve and algorithm agree (RFC 7518 sections 3.1 and 6), it is for checking signatures
(RFC 7517 sections 4.2 and 4.3), it holds no private part, and its signatures cannot be forged: RSA has 2,048 bits or
more and a usual exponent (NIST SP 800-131A, FIPS 186-5), a point lies on its curve and generates a large group.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from joserfc import jwk
from joserfc.errors import JoseError

from entitlements.errors import DomainError

from . import jws

MOST_KEYS: Final = 100
"""Keys in a set that an issuer publishes."""
MOST_REGISTERED: Final = 20
"""Keys in a set that a client registers."""
LARGEST_KEY: Final = 16 * 1024
"""Characters of one key as JSON, certificates included."""
SHORTEST_RSA: Final = 2048
LONGEST_RSA: Final = 8192
"""Bits. Checking a signature with a longer key costs us more than it costs its sender."""
LEAST_EXPONENT: Final = 2**16 + 1
LARGEST_EXPONENT: Final = 2**32
_LONGEST_KID: Final = 255

_OF_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
_TYPE: Final = {"P-256": "EC", "P-384": "EC", "P-521": "EC", "Ed25519": "OKP"}
_RSA: Final = frozenset({"RS256", "PS256"})
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


class BadKey(DomainError):
    """The key set holds a key that cannot be used."""

    code, status = "bad_key", HTTPStatus.UNPROCESSABLE_ENTITY


class PrivateKeyGiven(BadKey):
    """Send only public keys; this set contains a private one."""

    code, status = "private_key_given", HTTPStatus.UNPROCESSABLE_ENTITY


def read(member: object) -> jws.Key:
    """Read one public JWK with its algorithm: named by it, else the usual one of its type.

    Raises BadKey with the rule that the key breaks, and PrivateKeyGiven.
    """
    if not isinstance(member, Mapping):
        raise BadKey("The key set holds something that is no key.")
    if _PRIVATE & member.keys():
        raise PrivateKeyGiven
    kid = _kid(member)
    algorithm = _algorithm(member)
    if algorithm is None:
        raise BadKey("The key's kty, crv and alg do not agree, or name an algorithm that is refused.", kid=kid)
    if not _is_for_checking(member):
        raise BadKey('The key is not for checking signatures: "use" is "sig", "key_ops" holds "verify".', kid=kid)
    if len(json.dumps(dict(member), default=str)) > LARGEST_KEY:
        raise BadKey(f"The key is larger than {LARGEST_KEY} characters.", kid=kid)
    try:
        material = jwk.import_key(dict(member))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadKey("The key is malformed, or its point is not on its curve.", kid=kid) from error
    if weakness := _weakness(material):
        raise BadKey(weakness, kid=kid)
    return jws.Key(kid, algorithm, material)


def read_set(key_set: object, algorithms: Iterable[str] = jws.ALGORITHMS) -> tuple[jws.Key, ...]:
    """Read the JSON Web Key Set of an issuer (RFC 7517), without what is not for signing with `algorithms`.

    Raises BadKey and PrivateKeyGiven: one weak key refuses the set, since its issuer may sign with it.
    """
    allowed = frozenset(algorithms)
    read_keys = (read(member) for member in _members(key_set, MOST_KEYS) if _is_for_signing(member))
    return tuple(key for key in read_keys if key.algorithm in allowed)


def check_registered(key_set: object) -> None:
    """Check the keys that a client is registered with: at least one, each of them usable, each with a name of its own.

    Raises BadKey and PrivateKeyGiven.
    """
    keys = [read(member) for member in _members(key_set, MOST_REGISTERED)]
    if not keys:
        raise BadKey("The key set holds no key.")
    if len({key.kid for key in keys}) < len(keys) or (len(keys) > 1 and not all(key.kid for key in keys)):
        raise BadKey('Give each key of the set a "kid" of its own.')


def _members(key_set: object, most: int) -> list[Any]:
    members = key_set.get("keys") if isinstance(key_set, Mapping) else None
    if not isinstance(members, list) or len(members) > most:
        raise BadKey(f'A key set holds a list of keys, at most {most}: {{"keys": [...]}} (RFC 7517).')
    return members


def _kid(member: Mapping[str, Any]) -> str:
    kid = member.get("kid", "")
    if not isinstance(kid, str) or len(kid) > _LONGEST_KID or not kid.isprintable():
        raise BadKey(f'"kid" is a text of at most {_LONGEST_KID} printable characters.')
    return kid


def _is_for_signing(member: object) -> bool:
    """Tell whether a published key is for signatures. One that is not is left alone, and never used."""
    if not isinstance(member, Mapping):
        raise BadKey("The key set holds something that is no key.")
    return _is_for_checking(member) and _algorithm(member) is not None


def _is_for_checking(member: Mapping[str, Any]) -> bool:
    operations = member.get("key_ops", ["verify"])
    return member.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _algorithm(member: Mapping[str, Any]) -> str | None:
    """Return the one algorithm that a key is for; None when we take none of it."""
    kty, curve = member.get("kty"), str(member.get("crv"))
    usual = "RS256" if kty == "RSA" else _OF_CURVE.get(curve)
    named = member.get("alg", usual)
    if not isinstance(named, str):
        return None
    fits = named in _RSA and "crv" not in member if kty == "RSA" else named == usual and _TYPE[curve] == kty
    return named if fits else None


def _weakness(material: jwk.Key) -> str:
    if isinstance(material, jwk.RSAKey):
        numbers = material.raw_value.public_numbers()  # type: ignore[union-attr]  # a private one was refused
        if numbers.n.bit_length() < SHORTEST_RSA:
            return f"The RSA key has fewer than {SHORTEST_RSA} bits: make one of {SHORTEST_RSA} or more."
        if numbers.n.bit_length() > LONGEST_RSA:
            return f"The RSA key has more than {LONGEST_RSA} bits."
        is_usual = LEAST_EXPONENT <= numbers.e <= LARGEST_EXPONENT and numbers.e % 2
        return "" if is_usual and numbers.n % 2 else "The RSA key's modulus or exponent is unusual: use 65537."
    if isinstance(material, jwk.OKPKey):
        raw = material.raw_value.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)  # type: ignore[union-attr]
        return "" if _generates_a_large_group(raw) else "The key's point is not on its curve, or is of small order."
    return ""  # the library refuses a point that is not on a NIST curve, and each of their points is of large order


def _generates_a_large_group(encoded: bytes) -> bool:
    """Tell whether 32 bytes are a point of edwards25519 outside its small subgroup (RFC 8032 sections 5.1.3, 8.9)."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= _P:
        return False
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if x * x % _P != x_squared:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if x * x % _P != x_squared:
        return False
    for _ in range(3):  # eight times the point is the neutral one just when its order is small
        x, y = _doubled(x, y)
    return (x, y) != (0, 1)


def _doubled(x: int, y: int) -> tuple[int, int]:
    product = _D * x * x % _P * y * y % _P
    return (
        2 * x * y * pow(1 + product, -1, _P) % _P,
        (y * y + x * x) * pow(1 - product, -1, _P) % _P,
    )
