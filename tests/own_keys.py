"""The private halves of our own keys, for tests that forge with them."""

from __future__ import annotations

import msgspec

from entitlements.keys import jws, signing
from entitlements.signers import algorithms


def held(kid: str) -> jws.Key:
    """Return a key of ours that lies in the database, with its private half."""
    own = signing.own_key(kid)
    return jws.Key(kid, own.algorithm, algorithms.read(msgspec.json.decode(own.private)))
