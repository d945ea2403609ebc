"""What a DPoP proof says, read strictly and checked (RFC 9449 sections 4.2 and 4.3). Pure.

The header of a proof carries its key, so here alone the sender chooses one: the header holds exactly `typ`, `alg` and
`jwk`, and a key is taken as one that is registered would be (`entitlements/keys/public_keys.py`). Whether a proof was
used before is for who writes: it is claimed with what it proves.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from entitlements.codes import Code
from entitlements.keys import jws, public_keys

ALGORITHMS: Final = tuple(sorted(jws.ALGORITHMS))
"""Asymmetric alone; what our metadata offers."""
SECONDS: Final = 300.0
"""How far `iat` may be from our clock, either way (DPoP extension of MCP, draft)."""
LARGEST: Final = 8 * 1024
LONGEST_ADDRESS: Final = 2048
THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""The form of a SHA-256 in base64url."""
_TYP: Final = "dpop+jwt"
_HEADER: Final = frozenset({"typ", "alg", "jwk"})
_KEY: Final = frozenset({"kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "ext", "kid"})
_THUMBED: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PRINTED: Final = re.compile(r"[!-~]+")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BROKEN: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_PORTS: Final = {"http": 80, "https": 443}


class BadProof(jws.BadToken):
    """The proof of possession is not one, or proves something else."""

    code = Code.PROOF_INVALID


class NonceNeeded(BadProof):
    """The proof needs a nonce that this server gave, not long ago."""

    code = Code.PROOF_NONCE_NEEDED


@dataclass(frozen=True, slots=True)
class Expected:
    """What a proof must be about. `address` is the one that we advertise, never what a Host header says.

    With `thumbprint` it must be of that key, with `token` name that access token. With `body` its `content_digest`,
    where it has one, must be that of the body, and with `needs_digest` it must have one (DPoP extension of MCP, draft).
    """

    method: str
    address: str
    token: str | None = None
    body: bytes | None = None
    needs_digest: bool = False
    thumbprint: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature was checked: its key by RFC 7638, its name, and what it says."""

    thumbprint: str
    jti: str
    issued: float
    claims: Mapping[str, Any]

    @property
    def until(self) -> datetime:
        """Return when its time is over: until then its name must not be taken again."""
        return datetime.fromtimestamp(self.issued + SECONDS, UTC)

    @property
    def nonce(self) -> str | None:
        """The nonce in it. Raises BadProof for one that is no text."""
        return _text(self.claims, "nonce") if "nonce" in self.claims else None


def read(header: str) -> Proof:
    """Read the one DPoP header of a request and check that the key in it signed it. Raises BadProof."""
    if len(header) > LARGEST:
        raise BadProof("The proof is too large.")
    try:
        said, claims = jws.take_apart(header)
        if said.keys() != _HEADER:
            raise BadProof("The proof's header holds typ, alg and jwk, and nothing else.")
        if not isinstance(said["typ"], str) or jws.type_of(said["typ"]) != _TYP:
            raise BadProof("The proof's typ is not dpop+jwt.")
        key, thumbprint = _key(said["jwk"], said["alg"])
        jws.check(jws.Unverified({"alg": key.algorithm}, claims, header), key)
        issued = jws.moment(claims, "iat")
        if issued is None:
            raise BadProof("The proof does not say when it was made.")
        return Proof(thumbprint, _text(claims, "jti"), issued, claims)
    except (jws.BadToken, public_keys.BadKey) as error:
        raise error if isinstance(error, BadProof) else BadProof(error.message) from error


def check(proof: Proof, expected: Expected, now: float) -> None:
    """Check what a proof is about, and when it was made; `now` is in epoch seconds. Raises BadProof."""
    claims = proof.claims
    if expected.thumbprint is not None and proof.thumbprint != expected.thumbprint:
        raise BadProof("The proof is of another key than the token is bound to.")
    if claims.get("htm") != expected.method:
        raise BadProof("The proof is for another method.")
    if normalised(_text(claims, "htu", LONGEST_ADDRESS)) != _of_ours(expected.address):
        raise BadProof("The proof is for another address.")
    if not abs(now - proof.issued) <= SECONDS:
        raise BadProof("The proof is too old, or from the future.")
    if expected.token is not None and not _is_same(claims.get("ath"), access_token_hash(expected.token)):
        raise BadProof("The proof is for another access token.")
    if expected.body is None or ("content_digest" not in claims and not expected.needs_digest):
        return
    if not _is_same(claims.get("content_digest"), content_digest(expected.body)):
        raise BadProof("The proof is for another body, or names none.")


def access_token_hash(token: str) -> str:
    """Return the `ath` of an access token (RFC 9449 section 4.2)."""
    return _encoded(hashlib.sha256(token.encode()).digest())


def content_digest(body: bytes) -> str:
    """Return the digest of a body in the form of RFC 9530 section 2."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def thumbprint(member: Mapping[str, Any]) -> str:
    """Return the thumbprint of a public key (RFC 7638 section 3). Raises BadProof."""
    names = _THUMBED.get(str(member.get("kty")), ())
    if not names or not all(isinstance(member.get(name), str) for name in names):
        raise BadProof("The proof's key is malformed.")
    written = json.dumps({name: member[name] for name in names}, separators=(",", ":"), sort_keys=True)
    return _encoded(hashlib.sha256(written.encode()).digest())


def key_of(claims: Mapping[str, Any]) -> str:
    """Return the thumbprint of the key that a token of ours is bound to, empty where it is bound to none.

    Raises BadProof for any other way in which it may be bound.
    """
    if "cnf" not in claims:
        return ""
    bound = claims["cnf"]
    if not isinstance(bound, Mapping) or bound.keys() != {"jkt"} or not isinstance(bound["jkt"], str):
        raise BadProof("The token is bound in a way that is not supported.")
    if not THUMBPRINT.fullmatch(bound["jkt"]):
        raise BadProof("The token is bound to a key whose thumbprint is malformed.")
    return bound["jkt"]


def normalised(address: str) -> str:
    """Return an address in the form in which two are compared (RFC 9449 section 4.3, RFC 3986 section 6.2).

    Query and fragment are left out. Raises BadProof for what is no address of HTTP, or has a user in it.
    """
    try:
        parts = urlsplit(address) if _PRINTED.fullmatch(address) else urlsplit("")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadProof("The proof's htu is no address.") from error
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or "\\" in address or _BROKEN.search(parts.path):
        raise BadProof("The proof's htu is no address.")
    where = f"[{host}]" if ":" in host else host
    at = "" if port is None or port == _PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{where}{at}{_without_dots(_ESCAPE.sub(_escape, parts.path))}"


_of_ours: Final = functools.lru_cache(maxsize=1024)(normalised)


def _key(member: object, algorithm: object) -> tuple[jws.Key, str]:
    if not isinstance(member, Mapping) or not member.keys() <= _KEY:
        raise BadProof("The proof's key holds a member that is refused.")
    if not isinstance(algorithm, str) or algorithm not in jws.ALGORITHMS:
        raise BadProof("The proof names an algorithm that is refused.")
    if member.get("alg", algorithm) != algorithm:
        raise BadProof("The proof names another algorithm than its key is for.")
    return public_keys.read({**member, "alg": algorithm}), thumbprint(member)


def _text(claims: Mapping[str, Any], name: str, longest: int = 255) -> str:
    try:
        return jws.text(claims, name, longest=longest)
    except jws.BadToken as error:
        raise BadProof(f"The proof's {name} is missing or malformed.") from error


def _is_same(given: object, expected: str) -> bool:
    return isinstance(given, str) and given.isascii() and hmac.compare_digest(given, expected)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _escape(found: re.Match[str]) -> str:
    decoded = chr(int(found[1], 16))
    return decoded if _UNRESERVED.fullmatch(decoded) else f"%{found[1].upper()}"


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986 section 5.2.4); an empty path is the root."""
    kept: list[str] = []
    parts = path.split("/")[1:]
    for number, part in enumerate(parts, 1):
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
        if part in (".", "..") and number == len(parts):
            kept.append("")
    return "/" + "/".join(kept)
