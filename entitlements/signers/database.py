"""The usual signer: the private key itself is what is sealed in the database, and the process signs."""

from __future__ import annotations

from typing import Final

import msgspec
from joserfc import jwk

from . import algorithms
from .signer import NewKey

_MOST_KEPT: Final = 1000


class DatabaseSigner:
    """Signs with keys that were opened; of each, the form that signs is kept in the process."""

    is_remote = False

    def __init__(self) -> None:
        self._read: dict[str, jwk.Key] = {}

    def make(self, kid: str, algorithm: str) -> NewKey:
        """Make a key in this process."""
        key = algorithms.new_key(kid, algorithm)
        return NewKey(key.as_dict(private=False), algorithms.written(key))

    def sign(self, kid: str, private: bytes, algorithm: str, data: bytes) -> bytes:
        """Sign in this process."""
        key = self._read.get(kid)
        if key is None:
            if len(self._read) >= _MOST_KEPT:
                self._read.clear()
            key = self._read[kid] = algorithms.read(msgspec.json.decode(private))
        return algorithms.signature(key, algorithm, data)

    def destroy(self, kid: str, private: bytes) -> None:
        """Forget what this process kept: the rest is deleted with the row's own copy."""
        del private
        self._read.pop(kid, None)
