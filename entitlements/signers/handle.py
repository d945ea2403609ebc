"""What is sealed of a key that lies outside: its name there, and its public half to check each signature with.

A signer that answers with another key's signature, or with garbage, issues nothing: what it says is checked here before
it is used. Since the handle is sealed for its row, no one who writes to the database points a row at another key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from . import algorithms
from .signer import NewKey, SignerUnreachable


@dataclass(frozen=True, slots=True)
class Handle:
    """A key outside: its name, and its public half as a JSON Web Key."""

    name: str
    public: Mapping[str, Any]

    def new_key(self) -> NewKey:
        """Return the key as it was made."""
        return NewKey(self.public, msgspec.json.encode({"name": self.name, "public": self.public}))

    def checked(self, algorithm: str, data: bytes, signature: bytes) -> bytes:
        """Return a signature that this key made. Raises SignerUnreachable for every other."""
        key = algorithms.read(self.public)
        if not algorithms.implementation(algorithm).verify(data, signature, key):
            raise SignerUnreachable("The service that holds the signing keys gave a signature of another key.")
        return signature


def read(private: bytes) -> Handle:
    """Read what was sealed."""
    said = msgspec.json.decode(private)
    return Handle(said["name"], said["public"])
