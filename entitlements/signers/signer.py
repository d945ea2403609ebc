"""What every signer does: make a key, sign with it, destroy it. A private key never leaves a signer outside of us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from entitlements.errors import DomainError


class SignerUnreachable(DomainError):
    """The service that holds the signing keys cannot be reached. Nothing was issued; try again later."""

    code, status = "signer_unreachable", HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made: what everybody may know, and what this signer needs to sign with it, which is sealed."""

    public: Mapping[str, Any]
    private: bytes = field(repr=False)


class Signer(Protocol):
    """Holds private keys. Each method blocks, in bounded time, and raises SignerUnreachable when it cannot answer."""

    is_remote: bool
    """Whether signing waits for something outside this process."""

    def make(self, kid: str, algorithm: str) -> NewKey:
        """Make a key of that name for one of `algorithms.OURS`."""
        ...

    def sign(self, kid: str, private: bytes, algorithm: str, data: bytes) -> bytes:
        """Sign with a key that this signer made; returns the signature in the form of a JWS."""
        ...

    def destroy(self, kid: str, private: bytes) -> None:
        """Forget a private key for good. One that is gone already is no error."""
        ...
