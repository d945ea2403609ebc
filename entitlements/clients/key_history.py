"""What a client had before: keys must not come back, and a rotation by the client itself is known as one.

Both lanes ask: the client that rotates at the edge, and the person who replaces its credential.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from entitlements.decisions.reads import Reads
from entitlements.keys import public_keys
from entitlements.keys.public_keys import BadKey

_KEY_SETS: Final = """
SELECT c.jwks::text FROM entitlements_client c WHERE c.identifier = %(client)s
UNION ALL SELECT c.previous_jwks::text FROM entitlements_client c WHERE c.identifier = %(client)s
UNION ALL SELECT k.jwks::text FROM entitlements_clientcredential k
           WHERE k.client_id = %(client)s AND k.state IN ('accepted', 'rotated')
"""
_ROTATED: Final = """
SELECT EXISTS (SELECT FROM entitlements_clientcredential k
                WHERE k.client_id = %s AND k.state = 'rotated' AND k.answered_at = %s)
"""


async def has_had(reads: Reads, client_id: str, keys: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a client has one of these keys, or had it: by a key that comes back none would ever age. Raises BadKey.

    Of a client without an agent only the newest keys and those before are known.
    """
    known = await reads.rows(_KEY_SETS, {"client": client_id})
    had = {_thumbprint(key) for (stored,) in known for key in json.loads(stored).get("keys", [])}
    return any(public_keys.read(key).material.thumbprint() in had for key in keys)


async def was_rotated(reads: Reads, client_id: str, made: datetime) -> bool:
    """Whether the client of an agent made its credential of this moment itself, and no person gave or accepted it."""
    return bool((await reads.rows(_ROTATED, [client_id, made]))[0][0])


def _thumbprint(key: object) -> str | None:
    """Return the thumbprint (RFC 7638) of a stored key, None for one that is refused by now and cannot come back."""
    try:
        return public_keys.read(key).material.thumbprint()
    except BadKey:
        return None
