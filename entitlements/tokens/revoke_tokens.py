"""The node's side of `revoke_tokens_v1`: its parameters from typed values. Without Django or I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit.draft import Draft

from .issue_token import MARGIN, Claim

_TYPES: Final = (
    *("uuid", "uuid[]", "bigint", "bigint", "bigint", "timestamptz", "text"),
    *("text", "text", "timestamptz", "uuid", "text"),
    *("uuid", "text[]", "text", "text"),
)
PSYCOPG: Final = f"SELECT * FROM revoke_tokens_v1({', '.join(f'%s::{kind}' for kind in _TYPES)})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class TokenRevocation:
    """What a client ends: the token that it `named`, with all that live of it and its children, or an `opaque` one.

    `living` is in the order of the ids; `lock` is the number of the lock on the named token.
    """

    at: datetime
    client: int
    reason: str
    named: UUID | None = None
    living: tuple[UUID, ...] = ()
    lock: int | None = None
    opaque: int | None = None


def parameters(what: TokenRevocation, event: Draft, producer: UUID, proof: Claim | None) -> list[Any]:
    """Return the parameters of a call. Raises BadEvent."""
    return [
        what.named,
        [*what.living],
        what.opaque,
        what.client,
        what.lock,
        what.at,
        what.reason,
        *((proof.issuer, proof.jti, proof.expires + MARGIN) if proof else [None] * 3),
        producer,
        event.trace,
        event.uuid,
        event.links,
        *event.halves(producer, what.at),
    ]
