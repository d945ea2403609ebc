"""Secrets at rest: AES-256-GCM under a key-encryption key, bound to the row that holds them.

A sealed value copied into another row does not open. The first bytes name the key-encryption key, so that a database
beside the wrong key is distinguished from a damaged one. While a key is being replaced several are read, and one seals.
Signing keys may have a key-encryption key of their own: who has it opens them and nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import os
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from entitlements.errors import DomainError

_VERSION: Final = b"\x01"
_NAME: Final = 4
_NONCE: Final = 12
BEGINNING: Final = len(_VERSION) + _NAME
"""How many bytes of a sealed value name its key."""
_HEAD: Final = len(_VERSION) + _NAME + _NONCE


class RootKey(StrEnum):
    """Under which key-encryption key a value lies: the name of its setting."""

    GENERAL = "KEY_ENCRYPTION_KEY"
    SIGNING = "SIGNING_KEY_ENCRYPTION_KEY"
    """Of signing keys. Where it is not set, the general one is theirs too."""


class SealBroken(DomainError):
    """The sealed value does not open: it was altered, moved from another row, or sealed under another key."""

    code, status = "seal_broken", HTTPStatus.INTERNAL_SERVER_ERROR


def seal(plain: bytes, bound_to: str, under: RootKey = RootKey.GENERAL) -> bytes:
    """Encrypt `plain` for one place, `bound_to` ("signing-key:<kid>"): it opens only with the same words."""
    key = _keys(under)[0]
    nonce = os.urandom(_NONCE)
    head = _VERSION + _name(key) + nonce
    return head + AESGCM(key).encrypt(nonce, plain, _associated(head, bound_to))


def unseal(sealed: bytes, bound_to: str, under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what was sealed for this place. Raises SealBroken."""
    sealed = bytes(sealed)
    head, locked = sealed[:_HEAD], sealed[_HEAD:]
    if not head.startswith(_VERSION) or len(head) < _HEAD:
        raise SealBroken("The sealed value has no known form.")
    key = next((key for key in _keys(under) if head[1 : 1 + _NAME] == _name(key)), None)
    if key is None:
        raise SealBroken(f"The value was sealed under another {under if _root(under) else RootKey.GENERAL}.")
    try:
        return AESGCM(key).decrypt(head[-_NONCE:], locked, _associated(head, bound_to))
    except InvalidTag as error:
        raise SealBroken from error


def reseal(sealed: bytes, bound_to: str, under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what was sealed for this place, sealed again under the key that seals now. Raises SealBroken."""
    return seal(unseal(sealed, bound_to, under), bound_to, under)


def beginning(under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what every value begins with that is sealed under the key that seals now."""
    return _VERSION + _name(_keys(under)[0])


def _keys(under: RootKey) -> list[bytes]:
    """Derive the keys of this module, the one that seals first: no other use of a key-encryption key shares them."""
    roots = dict.fromkeys((under, RootKey.GENERAL))
    names = [f"{root}{suffix}" for suffix in ("", "_PREVIOUS") for root in roots]
    return [_derived(root) for name in names if (root := _root(name))]


def _root(name: str) -> bytes:
    root: bytes = getattr(settings, name).reveal()
    return root


@functools.lru_cache(maxsize=8)
def _derived(root: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"mandate sealing").derive(root)


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"name of " + key).digest()[:_NAME]


def _associated(head: bytes, bound_to: str) -> bytes:
    return head + bound_to.encode()
