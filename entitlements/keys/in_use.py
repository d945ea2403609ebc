"""The use of our own signing keys, in either lane: sign with the active one, check with those that count, publish.

The row's state is the authority. A node keeps rows until the change feed names a key; in Django each use asks. Of a
private key only the decrypted form is kept in the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from audit import clock
from entitlements import addresses
from entitlements.decisions.reads import FeedSubject, Reads, Rows
from entitlements.errors import DomainError
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey
from entitlements.signers import signers
from entitlements.signers.signers import OwnKey

from . import jws, public_keys

_ACTIVE: Final = """
SELECT kid, sealed_private, signer
FROM entitlements_signingkey WHERE issuer = %s AND algorithm = %s AND state = 'active'
"""
_PUBLISHED: Final = """
SELECT kid, public::text, state, extract(epoch FROM retires_at)::float8 FROM entitlements_signingkey
WHERE issuer = %s AND state IN ('active', 'next', 'retired') ORDER BY created_at, kid
"""
_MOST_CACHED: Final = 1000
_private: dict[str, OwnKey] = {}
_public: dict[str, jws.Key] = {}


class KeyMissing(DomainError):
    """The issuer has no key that signs. Try again later."""

    code, status = "signing_key_missing", HTTPStatus.SERVICE_UNAVAILABLE


async def signer(reads: Reads, issuer_path: str, algorithm: str = jws.ES256) -> OwnKey:
    """Return the key that signs for an issuer (`idp`, `as/<slug>`) with an algorithm now. Raises KeyMissing."""
    rows = await reads.kept(_ACTIVE, [issuer_path, algorithm], about_keys)
    if not rows:
        raise KeyMissing
    kid, sealed, signer_name = rows[0]
    return private(kid, algorithm, signer_name, bytes(sealed))


async def sign(reads: Reads, issuer_path: str, claims: Mapping[str, Any], typ: str, algorithm: str = jws.ES256) -> str:
    """Sign claims as the issuer; `iss` is the caller's to set. Returns a compact JWS.

    Raises KeyMissing, SignerUnreachable.
    """
    return await signed(claims, await signer(reads, issuer_path, algorithm), typ)


async def signed(claims: Mapping[str, Any], key: OwnKey, typ: str) -> str:
    """Sign claims with a key of ours. Returns a compact JWS, which this process need not check when it comes back.

    Raises SignerUnreachable.
    """
    unsigned = jws.prepare(claims, key.kid, key.algorithm, typ)
    made = jws.complete(unsigned, await signers.sign(key, unsigned.text))
    if (public := _public.get(key.kid)) is not None:
        jws.keep(made, public)
    return made.token


async def verify(reads: Reads, token: str, issuer_path: str, typ: str) -> Mapping[str, Any]:
    """Return the claims of a token of this issuer and `typ`, in time. Raises BadToken, TokenExpired."""
    return await verify_read(reads, jws.recall(token), issuer_path, typ)


async def verify_read(reads: Reads, unverified: jws.Unverified, issuer_path: str, typ: str) -> Mapping[str, Any]:
    """Do as `verify` with a token that was read already."""
    if unverified.typ != typ:
        raise jws.BadToken("The token is of another type.")
    if unverified.claims.get("iss") != addresses.issuer(issuer_path):
        raise jws.BadToken("The token is of another issuer.")
    claims = jws.check(unverified, await _usable(reads, unverified.kid, issuer_path), comes_again=True)
    jws.check_times(claims, clock.now().timestamp())
    return claims


async def jwks(reads: Reads, issuer_path: str) -> dict[str, Any]:
    """Return the issuer's public key set (RFC 7517): what signs, what will, and what did until its tokens died.

    It only reads, since strangers ask: an issuer that has signed nothing yet may have none.
    """
    rows = await reads.kept(_PUBLISHED, [issuer_path], about_keys)
    return {"keys": [msgspec.json.decode(public) for _, public, state, until in rows if _counts(state, until)]}


def private(kid: str, algorithm: str, signer_name: str, sealed: bytes) -> OwnKey:
    """Open a key of ours to sign with, once in the life of the process. Raises SealBroken."""
    if kid not in _private:
        opened = seal.unseal(sealed, place(kid), RootKey.SIGNING)
        _keep(_private, kid, OwnKey(kid, algorithm, signer_name, opened))
    return _private[kid]


def place(kid: str) -> str:
    """Name the place that a key's private half is sealed for."""
    return f"signing-key:{kid}"


def about_keys(_: Rows) -> list[FeedSubject]:
    """Name what a kept set of keys is about: whichever key changes, the set may be another."""
    return [("signing_key_id", None)]


async def _usable(reads: Reads, kid: str | None, issuer_path: str) -> jws.Key:
    for known, public, state, until in await reads.kept(_PUBLISHED, [issuer_path], about_keys):
        if known == kid and state != "next" and _counts(state, until):
            if known not in _public:
                _keep(_public, known, public_keys.read(msgspec.json.decode(public)))
            return _public[known]
    raise jws.BadToken("The token's key is not one that signs for its issuer.")


def _counts(state: str, until: float | None) -> bool:
    return state != "retired" or (until is not None and until > clock.now().timestamp())


def _keep[Held](kept: dict[str, Held], kid: str, key: Held) -> None:
    if len(kept) >= _MOST_CACHED:
        kept.clear()
    kept[kid] = key
