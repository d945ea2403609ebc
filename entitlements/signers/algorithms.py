"""The algorithms that our own issuers sign with, and how each is done with a private key at hand. Pure.

ES256 is the usual one; EdDSA (Ed25519, RFC 8037) and RS256 are for systems that take no other (RFC 7518 section 3.1).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc import jwk
from joserfc.jws import JWSRegistry

ES256: Final = "ES256"
EDDSA: Final = "EdDSA"
RS256: Final = "RS256"
OURS: Final = (ES256, EDDSA, RS256)
RSA_BITS: Final = 3072
"""Of a new RSA key: as strong as P-256 and Ed25519 (NIST SP 800-57 part 1, table 2)."""


def new_key(kid: str, algorithm: str) -> jwk.Key:
    """Make a private key for one of OURS."""
    parameters: Any = described(kid, algorithm)
    if algorithm == RS256:
        return jwk.RSAKey.generate_key(RSA_BITS, parameters=parameters, private=True, auto_kid=False)
    if algorithm == EDDSA:
        return jwk.OKPKey.generate_key("Ed25519", parameters=parameters, private=True, auto_kid=False)
    return jwk.ECKey.generate_key("P-256", parameters=parameters, private=True, auto_kid=False)


def described(kid: str, algorithm: str) -> dict[str, str]:
    """Return what the JSON Web Key of a signing key says beside its numbers (RFC 7517 section 4)."""
    return {"kid": kid, "use": "sig", "alg": algorithm}


def written(key: jwk.Key) -> bytes:
    """Return a private key as a JSON Web Key."""
    return msgspec.json.encode(key.as_dict(private=True))


def read(private: Mapping[str, Any]) -> jwk.Key:
    """Read a private key from a JSON Web Key."""
    return jwk.import_key({**private})


def signature(key: jwk.Key, algorithm: str, data: bytes) -> bytes:
    """Sign, in the form that a JWS carries: for ES256 the two numbers, 64 bytes (RFC 7518 section 3.4)."""
    made: bytes = implementation(algorithm).sign(data, key)
    return made


def base64url(raw: bytes) -> str:
    """Write bytes as JWS and JWK do, without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def implementation(algorithm: str) -> Any:  # noqa: ANN401 - the library does not export the type
    """Return the library's own form of an algorithm.

    Its registry warns of `EdDSA`, since RFC 9864 deprecates names that leave the curve open. We take Ed25519 alone.
    """
    return JWSRegistry.algorithms[algorithm]
