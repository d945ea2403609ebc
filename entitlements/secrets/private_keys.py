"""Private keys that sign assertions for upstream systems (RFC 7523): read, and the algorithm each is for. Pure.

A key comes as PEM (PKCS#8, PKCS#1 or SEC 1, without a passphrase) or as a JSON Web Key.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwk
from joserfc.errors import JoseError

SHORTEST_RSA: Final = 2048
_OF_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi")
_SHORTEST_LINE: Final = 16
"""Characters of a line of PEM that name the key; the last line may be shorter."""


class BadPrivateKey(ValueError):
    """The text is no private key that can sign: RSA of 2,048 bits or more, P-256, P-384, P-521 or Ed25519."""


def read(text: str) -> tuple[jwk.Key, tuple[str, ...]]:
    """Return a private key, and the algorithms it can sign with, the usual one first. Raises BadPrivateKey."""
    try:
        key = _of_json(text) if text.lstrip().startswith("{") else _of_pem(text)
        return key, _algorithms(key)
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm, JoseError, msgspec.MsgspecError):
        raise BadPrivateKey from None  # the cause may quote the key


def fragments(text: str) -> tuple[bytes, ...]:
    """Return the parts of a key's text that give it away wherever they show up."""
    if text.lstrip().startswith("{"):
        members = msgspec.json.decode(text)
        return tuple(str(members[name]).encode() for name in _PRIVATE if name in members)
    lines = [line.strip() for line in text.splitlines() if "-----" not in line]
    return tuple(line.encode() for line in lines if len(line) >= _SHORTEST_LINE)


def thumbprint(text: str) -> str:
    """Return the name of a key that gives nothing of it away (RFC 7638). Raises BadPrivateKey."""
    return read(text)[0].thumbprint()


def _of_json(text: str) -> jwk.Key:
    members: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    key = jwk.import_key(members)
    if not key.is_private or key.key_type not in ("RSA", "EC", "OKP"):
        raise BadPrivateKey
    return key


def _of_pem(text: str) -> jwk.Key:
    held = load_pem_private_key(text.strip().encode("ascii"), password=None)
    if isinstance(held, rsa.RSAPrivateKey):
        return jwk.RSAKey.import_key(text.strip())
    if isinstance(held, ec.EllipticCurvePrivateKey):
        return jwk.ECKey.import_key(text.strip())
    if isinstance(held, ed25519.Ed25519PrivateKey):
        return jwk.OKPKey.import_key(text.strip())
    raise BadPrivateKey


def _algorithms(key: jwk.Key) -> tuple[str, ...]:
    held = key.private_key
    if isinstance(held, rsa.RSAPrivateKey) and held.key_size >= SHORTEST_RSA:
        return "RS256", "PS256"
    if isinstance(held, ec.EllipticCurvePrivateKey):
        return (_OF_CURVE[held.curve.name],)
    if isinstance(held, ed25519.Ed25519PrivateKey):
        return ("EdDSA",)
    raise BadPrivateKey
