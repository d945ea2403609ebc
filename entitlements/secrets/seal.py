"""Secrets at rest: encrypted under a key-encryption key, bound to the row that holds them (`audit/encryption.py`).

A sealed value copied into another row does not open. While a key is being replaced several are read, and one seals.
Signing keys may have a key-encryption key of their own: who has it opens them and nothing else.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from cryptography.exceptions import InvalidTag
from django.conf import settings

from audit import encryption
from entitlements.errors import DomainError

_PURPOSE: Final = b"mandate sealing"
BEGINNING: Final = encryption.BEGINNING


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
    return encryption.encrypt(keys_for(_PURPOSE, under), plain, bound_to)


def unseal(sealed: bytes, bound_to: str, under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what was sealed for this place. Raises SealBroken."""
    try:
        return encryption.decrypt(keys_for(_PURPOSE, under), sealed, bound_to)
    except encryption.UnknownKey as error:
        root = under if getattr(settings, under).reveal() else RootKey.GENERAL
        raise SealBroken(f"The value was sealed under another {root}.") from error
    except InvalidTag as error:
        raise SealBroken from error


def reseal(sealed: bytes, bound_to: str, under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what was sealed for this place, sealed again under the key that seals now. Raises SealBroken."""
    return seal(unseal(sealed, bound_to, under), bound_to, under)


def beginning(under: RootKey = RootKey.GENERAL) -> bytes:
    """Return what every value begins with that is sealed under the key that seals now."""
    return encryption.beginning(keys_for(_PURPOSE, under)[0])


def keys_for(purpose: bytes, under: RootKey) -> list[bytes]:
    """Derive 32 bytes for one purpose, from each key-encryption key that counts, the one that seals first."""
    return encryption.keys_for(purpose, under, RootKey.GENERAL)
