"""Refresh tokens: a family's id and a generation under a MAC, so that none is stored and none can be made up.

The key is derived from the key-encryption key of signing keys, and the MAC also covers the issuer: a token of one
system's server says nothing at another's. While the key-encryption key is replaced the one before still counts.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from entitlements.secrets import seal

_BEGINNING: Final = "mrt1."
"""What a refresh token begins with: scanners of leaked secrets know it by this."""
_BODY: Final = struct.Struct(">16sI")
_MAC: Final = 32
_PURPOSE: Final = b"mandate refresh tokens"


@dataclass(frozen=True, slots=True)
class Presented:
    """What an authentic refresh token says."""

    family: UUID
    generation: int


def make(family: UUID, generation: int, issuer_path: str) -> str:
    """Return the refresh token of a generation: the same each time."""
    body = _BODY.pack(family.bytes, generation)
    return _written(body + _mac(seal.keys_for(_PURPOSE, seal.RootKey.SIGNING)[0], body, issuer_path))


def is_one(token: str) -> bool:
    """Say whether a token has the form of a refresh token, authentic or not."""
    return token.startswith(_BEGINNING)


def read(token: str, issuer_path: str) -> Presented | None:
    """Return what a refresh token of this issuer says; None for one that we did not make."""
    encoded = token.removeprefix(_BEGINNING)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if len(mac) != _MAC or _written(raw) != token:  # written in one way alone
        return None
    if not any(
        hmac.compare_digest(mac, _mac(key, body, issuer_path)) for key in seal.keys_for(_PURPOSE, seal.RootKey.SIGNING)
    ):
        return None
    family, generation = _BODY.unpack(body)
    return Presented(UUID(bytes=family), generation)


def _written(raw: bytes) -> str:
    return _BEGINNING + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@functools.lru_cache(maxsize=1024)
def _issuer(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()


def _mac(key: bytes, body: bytes, issuer_path: str) -> bytes:
    return hmac.digest(key, _issuer(issuer_path) + body, "sha256")
