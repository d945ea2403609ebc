"""The keys that seal what our own nodes open again: symmetric, with the same life as those that sign.

They seal the names of client sessions, and what clients register about themselves: AES-256-GCM, with the key's own name
as associated data. A key that no longer seals opens until what it sealed last is over. Its row's state is the
authority: a node keeps the rows until the change feed names a key.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
from datetime import timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidTag

from audit import clock, encryption
from entitlements.decisions.reads import Reads
from entitlements.secrets import seal
from entitlements.secrets.seal import RootKey

from . import in_use

ISSUER: Final = "sessions"
"""What these keys are of, where others name an issuer. It issues no token, and no key set holds them."""
REGISTRATIONS: Final = "registrations"
"""As ISSUER, of the keys that seal what clients register about themselves."""
SEALING: Final = {ISSUER: RootKey.GENERAL, REGISTRATIONS: RootKey.SIGNING}
"""Under which key-encryption key they lie: gateways open sessions, and no lone gateway opens registrations."""
ALGORITHM: Final = "A256GCM"
LIFE: Final = timedelta(hours=12)
"""The longest that anything sealed lives: as long as an agent's session (`entitlements/sessions/sessions.py`)."""
TAIL: Final = LIFE + timedelta(minutes=1)
"""How long a retired key opens. A node seals by it until it has applied the change, which a lease bounds."""
_KEYS: Final = """
SELECT kid, sealed_private, state, extract(epoch FROM retires_at)::float8 FROM entitlements_signingkey
WHERE issuer = %s AND state IN ('active', 'next', 'retired')
"""


class NotOurs(ValueError):
    """The text is not one that we sealed, or the key that sealed it is none any more."""


async def sealed(reads: Reads, plain: bytes, of: str = ISSUER, *, purpose: str = "") -> str:
    """Seal for every node, by the keys of SEALING that are named: URL-safe characters alone. Raises KeyMissing.

    What is sealed for one purpose opens for no other.
    """
    for kid, secret, state, _ in await _keys(reads, of):
        if state == "active":
            locked = encryption.encrypt([_key(kid, bytes(secret), SEALING[of])], plain, f"{kid} {purpose}")
            return f"{kid}.{base64.urlsafe_b64encode(locked).decode().rstrip('=')}"
    raise in_use.KeyMissing


async def opened(reads: Reads, text: str, of: str = ISSUER, *, purpose: str = "") -> bytes:
    """Return what was sealed. Raises NotOurs; asks the database only where no key is known yet."""
    name, _, rest = text.partition(".")
    for kid, secret, state, until in await _keys(reads, of):
        if kid == name and (state != "retired" or (until is not None and until > clock.now().timestamp())):
            try:
                locked = base64.b64decode(rest + "=" * (-len(rest) % 4), altchars=b"-_", validate=True)
                return encryption.decrypt([_key(kid, bytes(secret), SEALING[of])], locked, f"{kid} {purpose}")
            except (binascii.Error, ValueError, InvalidTag) as why:
                raise NotOurs from why
    raise NotOurs


def new_secret() -> bytes:
    """Make a key."""
    return os.urandom(32)


def described(kid: str) -> dict[str, str]:
    """Say what people may know of a key, as a JSON Web Key without its secret (RFC 7517, RFC 7518 section 5.3)."""
    return {"kty": "oct", "use": "enc", "alg": ALGORITHM, "kid": kid}


@functools.lru_cache(maxsize=32)
def _key(kid: str, secret: bytes, under: RootKey) -> bytes:
    """Open a key, once in the life of the process. Raises SealBroken."""
    return seal.unseal(secret, in_use.place(kid), under)


async def _keys(reads: Reads, of: str) -> Any:  # noqa: ANN401 - rows
    return await reads.kept(_KEYS, [of], in_use.about_keys)
