"""Compact JSON Web Signatures, read strictly and checked with a key we chose. Pure.

joserfc does the cryptography. It checks neither `typ` nor duplicate names nor finite numbers, and would read headers
that let the sender choose the key, so the reading is ours: `read` refuses all of that, and `check` takes the algorithm
from the key, never from the token (RFC 8725 sections 3.1, 3.10, 3.11).

A token that comes again is taken apart and its signature checked once: what was proven by a key is kept under the
token's SHA-256, never under itself. Which key counts, and the times, are looked at each time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec
from joserfc import jwk
from joserfc.errors import JoseError

from entitlements import strict
from entitlements.codes import Code
from entitlements.errors import DomainError
from entitlements.signers.algorithms import implementation

ES256: Final = "ES256"
LARGEST: Final = 16 * 1024
_LARGEST_HEADER: Final = 2048
_DEEPEST: Final = 12
_LATEST: Final = 2**53
MOST_PROVEN: Final = 10_000

ALGORITHMS: Final = frozenset({"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"})
# `x5t` names a certificate without carrying one; widely sent, never looked at.
_HEADERS: Final = frozenset({"alg", "typ", "kid", "cty", "x5t", "x5t#S256"})
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_proven: dict[bytes, tuple[Mapping[str, Any], Mapping[str, Any], Key]] = {}


class BadToken(DomainError):
    """The token is not one of ours, or is damaged."""

    code = Code.TOKEN_INVALID
    status = HTTPStatus.UNAUTHORIZED


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says before its signature is checked."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    token: str = field(repr=False)
    proven_by: Key | None = None
    """The key that was seen to have signed it; None before."""

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.token.rpartition(".")[0].encode()

    @property
    def signature(self) -> bytes:
        """The signature. Raises BadToken."""
        return _decode(self.token.rpartition(".")[2])

    @property
    def kid(self) -> str | None:
        """The key identifier in the header, a text or absent."""
        return self.header.get("kid")

    @property
    def typ(self) -> str | None:
        """The type in the header, in lower case, without the optional `application/` (RFC 7515 section 4.1.9)."""
        return type_of(self.header.get("typ"))


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A token that waits for its signature, which is over `text`."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    text: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the one algorithm it is for."""

    kid: str
    algorithm: str
    material: jwk.Key

    def __repr__(self) -> str:
        """Show the name alone: the material may be private."""
        return f"Key({self.kid!r}, {self.algorithm!r})"


def type_of(typ: str | None) -> str | None:
    """Return a header's `typ` in the form in which types are compared."""
    return None if typ is None else str(typ).lower().removeprefix("application/")


def read(token: str) -> Unverified:
    """Take a compact JWS apart. Raises BadToken for anything unusual in form, size, header members or numbers."""
    header, claims = take_apart(token)
    if not header.keys() <= _HEADERS:
        raise BadToken("The token's header holds a member that is refused.")
    if not all(isinstance(value, str) for value in header.values()) or header.get("alg") not in ALGORITHMS:
        raise BadToken("The token's header is malformed, or names an algorithm that is refused.")
    return Unverified(header, claims, token)


def take_apart(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what stands in the header of a compact JWS, whatever it is, and its claims. Raises BadToken."""
    if len(token) > LARGEST or not token.isascii():
        raise BadToken("The token is too large.")
    signed, _, signature = token.rpartition(".")
    head, dot, body = signed.partition(".")
    if not dot or "." in body or not signature or len(head) > _LARGEST_HEADER:
        raise BadToken("The token is not a compact JWS.")
    header, claims = _object(head), _object(body)
    _decode(signature)
    return header, claims


def names_no_algorithm(head: str) -> bool:
    """Whether the header of a token, in base64url, says that it is unsigned."""
    try:
        algorithm = _object(head[:_LARGEST_HEADER]).get("alg")
    except BadToken:
        return False
    return isinstance(algorithm, str) and algorithm.lower() == "none"


def recall(token: str) -> Unverified:
    """Do as `read`. A token that was proven here is not taken apart again."""
    proven = _proven.get(_digest(token)) if token.isascii() else None
    return Unverified(proven[0], proven[1], token, proven[2]) if proven else read(token)


def keep(unverified: Unverified, key: Key) -> None:
    """Note that this key signed the token; the oldest notes go."""
    while len(_proven) >= MOST_PROVEN:
        del _proven[next(iter(_proven))]
    _proven[_digest(unverified.token)] = unverified.header, unverified.claims, key


def check(unverified: Unverified, key: Key, *, comes_again: bool = False) -> Mapping[str, Any]:
    """Return the claims if `key` signed them with its own algorithm. Raises BadToken.

    With `comes_again` a success is kept for `recall`.
    """
    if unverified.proven_by is key:
        return unverified.claims
    if unverified.header["alg"] != key.algorithm:
        raise BadToken("The token names another algorithm than its key is for.")
    try:
        fits = implementation(key.algorithm).verify(unverified.signed, unverified.signature, key.material)
    except (JoseError, ValueError) as error:  # the key's own `key_ops` forbid it, or it is of another kind
        raise BadToken("The token's key is not for checking signatures.") from error
    if not fits:
        raise BadToken("The token's signature does not fit.")
    if comes_again:
        keep(unverified, key)
    return unverified.claims


def choose(unverified: Unverified, keys: Iterable[Key]) -> Key:
    """Find the key a token names. A token that names none fits a set of exactly one. Raises BadToken."""
    candidates = list(keys)
    if unverified.kid is not None:
        candidates = [key for key in candidates if key.kid == unverified.kid]
    if len(candidates) != 1:
        raise UnknownKey("The token names no key that its issuer has.")
    return candidates[0]


def sign(claims: Mapping[str, Any], key: Key, typ: str) -> str:
    """Return the claims as a compact JWS with `alg`, `kid` and `typ` in its header."""
    return signed(claims, key, typ).token


def signed(claims: Mapping[str, Any], key: Key, typ: str) -> Unverified:
    """Do as `sign`; returns the token as `read` would."""
    unsigned = prepare(claims, key.kid, key.algorithm, typ)
    return complete(unsigned, implementation(key.algorithm).sign(unsigned.text, key.material))


def prepare(claims: Mapping[str, Any], kid: str, algorithm: str, typ: str) -> Unsigned:
    """Write what a key of this name and algorithm is to sign."""
    header = {"alg": algorithm, "kid": kid, "typ": typ}
    return Unsigned(header, claims, _text(_encode(header)) + b"." + _text(_encode(claims)))


def complete(unsigned: Unsigned, signature: bytes) -> Unverified:
    """Put the signature to what it is over; returns the token as `read` would."""
    token = unsigned.text + b"." + _text(signature)
    return Unverified(unsigned.header, unsigned.claims, token.decode())


def moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate claim (RFC 7519 section 2), None when it is absent. Raises BadToken unless it is sane."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        raise BadToken(f"The claim {name} is not a time.")
    if not math.isfinite(value):  # pragma: no cover - the reader refuses these already
        raise BadToken(f"The claim {name} is not a time.")
    return float(value)


def text(claims: Mapping[str, Any], name: str, *, longest: int = 255) -> str:
    """Return a claim that must be a non-empty text without control characters. Raises BadToken."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise BadToken(f"The claim {name} is missing or malformed.")
    return value


def sole_audience(claims: Mapping[str, Any]) -> str:
    """Return the only audience: a text, or a list of exactly one (EMA-R-3). Raises BadToken."""
    value = claims.get("aud")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise BadToken("The token must have exactly one audience.")
    return value


def check_times(claims: Mapping[str, Any], now: float, *, leeway: float = 0.0, longest: float = math.inf) -> float:
    """Check `exp` (required), `iat` (required) and `nbf`; returns the time of expiry.

    `leeway` is what the issuer's clock may be ahead of ours, in seconds; expiry has none. `longest` bounds exp - iat.
    Raises BadToken; TokenExpired when it is only too late.
    """
    expires, issued, begins = moment(claims, "exp"), moment(claims, "iat"), moment(claims, "nbf")
    if expires is None or issued is None:
        raise BadToken("The token says not when it was issued and when it ends.")
    if issued > now + leeway or (begins is not None and begins > now + leeway):
        raise BadToken("The token comes from the future.")
    if not 0 < expires - issued <= longest:
        raise BadToken("The token lives too long.")
    if not now < expires:
        raise TokenExpired
    return expires


class UnknownKey(BadToken):
    """The token names no key that its issuer has."""


class TokenExpired(BadToken):
    """The token has expired."""

    code = Code.TOKEN_EXPIRED


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _object(part: str) -> dict[str, Any]:
    try:
        value = strict.loads(_decode(part), largest=LARGEST, deepest=_DEEPEST)
    except strict.NotStrictJson as error:
        raise BadToken("The token is not strict JSON inside.") from error
    if not isinstance(value, dict):
        raise BadToken("The token does not hold an object.")
    if not strict.is_storable(value):  # each header and claim may become part of a statement
        raise BadToken("The token holds the character NUL.")
    return value


def _decode(part: str) -> bytes:
    """Decode unpadded base64url, and only the one spelling of it: no stray characters, no unused bits."""
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadToken("The token is not base64url.") from error
    if _text(decoded).decode() != part:
        raise BadToken("The token is not base64url.")
    return decoded


def _text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
