"""Nonces for proofs (RFC 9449 sections 8 and 9): a time under a MAC, so that nothing is stored and any node knows it.

The key is derived from a key-encryption key: that of signing keys at issuers, the general one at gateways. So nodes of
one role share nonces, and all nodes do where there is one key.
"""

from __future__ import annotations

import base64
import hmac
import struct
from typing import Final

from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey

SECONDS: Final = 150
"""How long one nonce is given out. It is taken for as long again."""
_PURPOSE: Final = b"mandate DPoP nonces"
_TIME: Final = struct.Struct(">Q")
_MAC: Final = 16


def current(now: float, under: RootKey) -> str:
    """Return the nonce of this moment; `now` is in epoch seconds."""
    return _nonce(int(now) // SECONDS, seal.keys_for(_PURPOSE, under)[0])


def is_fresh(nonce: str, now: float, under: RootKey) -> bool:
    """Whether a nonce is that of this moment or the one before it, also by a key-encryption key that is replaced."""
    number = int(now) // SECONDS
    if not nonce.isascii():
        return False
    known = [_nonce(each, key) for each in (number, number - 1) for key in seal.keys_for(_PURPOSE, under)]
    return any(hmac.compare_digest(nonce, each) for each in known)


def _nonce(number: int, key: bytes) -> str:
    written = _TIME.pack(number)
    return base64.urlsafe_b64encode(written[4:] + hmac.digest(key, written, "sha256")[:_MAC]).rstrip(b"=").decode()
