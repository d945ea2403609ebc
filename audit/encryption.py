"""The one encryption of what is kept: AES-256-GCM, each value for one purpose and one place.

The first bytes of a value name its form and its key, so that a value under another key is distinguished from a damaged
one. They and the words of its place are associated data: copied into another row or another use, it does not open.
While a key is being replaced several open, and the first of them encrypts.
"""

import functools
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_VERSION, _NAME, _NONCE = b"\x01", 4, 12
BEGINNING = len(_VERSION) + _NAME
"""How many bytes of a value name its key."""


class UnknownKey(InvalidTag):
    """The value lies under another key than those that are known."""


def encrypt(keys: Sequence[bytes], plain: bytes, bound_to: str) -> bytes:
    """Encrypt under the first of `keys` for one place: it opens only with the same words."""
    nonce = os.urandom(_NONCE)
    head = beginning(keys[0]) + nonce
    return head + AESGCM(keys[0]).encrypt(nonce, plain, head + bound_to.encode())


def decrypt(keys: Sequence[bytes], value: bytes | memoryview, bound_to: str) -> bytes:
    """Return what was encrypted for this place. Raises UnknownKey, or InvalidTag when it was altered or moved."""
    value = bytes(value)
    head, locked = value[: BEGINNING + _NONCE], value[BEGINNING + _NONCE :]
    if not head.startswith(_VERSION) or not locked:
        raise InvalidTag
    key = next((key for key in keys if head.startswith(beginning(key))), None)
    if key is None:
        raise UnknownKey
    return AESGCM(key).decrypt(head[BEGINNING:], locked, head + bound_to.encode())


def beginning(key: bytes) -> bytes:
    """Return what every value begins with that is encrypted under a key."""
    return _VERSION + hashlib.sha256(b"name of " + key).digest()[:_NAME]


def keys_for(purpose: bytes, *roots: str) -> list[bytes]:
    """Derive 32 bytes for one purpose, from each key-encryption key that is set: these settings, then the previous.

    No other purpose shares them.
    """
    names = [f"{root}{suffix}" for suffix in ("", "_PREVIOUS") for root in dict.fromkeys(roots)]
    return [_derived(root, purpose) for name in names if (root := getattr(settings, name).reveal())]


@functools.lru_cache(maxsize=32)
def _derived(root: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(root)
