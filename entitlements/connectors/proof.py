"""How a connector proves that it is the one that was enrolled: it signs what the node has just made up. Pure.

The signature is Ed25519 (RFC 8032) over a text of its own kind, so that the key signs nothing else. It names the node,
the system, the connector and the nonce of this connection: what was said once is worth nothing on another connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KIND: Final = "mandate-connector-1"
"""What a connector and a node speak; another version is another word."""
CODE_PREFIX: Final = "mandate-enrol-"


def signed(key: Ed25519PrivateKey, *, connector: str, system: str, node: str, nonce: str) -> str:
    """Return the signature of a connector for one connection, in base64url."""
    return as_text(key.sign(_statement(connector, system, node, nonce)))


def is_signed(public: str, signature: str, *, connector: str, system: str, node: str, nonce: str) -> bool:
    """Say whether a signature is of this key, for this connection of this connector."""
    try:
        key = Ed25519PublicKey.from_public_bytes(of_text(public))
        key.verify(of_text(signature), _statement(connector, system, node, nonce))
    except (ValueError, InvalidSignature):
        return False
    return True


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public key as the member `x` of its JWK (RFC 8037)."""
    return as_text(key.public_key().public_bytes_raw())


def thumbprint(public: str) -> str:
    """Return the thumbprint of a public key (RFC 7638)."""
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": public}, separators=(",", ":"))
    return as_text(hashlib.sha256(members.encode()).digest())


def digest(code: str) -> str:
    """Return what is stored of an enrolment code: SHA-256 in hexadecimal. The code has 256 random bits."""
    return hashlib.sha256(code.encode()).hexdigest()


def as_text(octets: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def of_text(text: str) -> bytes:
    """Return the bytes of base64url without padding. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)


def _statement(*parts: str) -> bytes:
    if any("\n" in part for part in parts):
        message = "a part holds a line end"
        raise ValueError(message)
    return "\n".join((KIND, *parts)).encode()
