"""The node's side of `revoke_token_family_v1`: its parameters from typed values. Without Django or I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from audit.draft import Draft

from .issue_token import MARGIN, Claim

_TYPES: Final = (
    *("text", "uuid", "bigint", "bigint", "timestamptz", "text"),
    *("text", "text", "timestamptz", "uuid", "text"),
    *("uuid", "text[]", "text", "text"),
)
PSYCOPG: Final = f"SELECT * FROM revoke_token_family_v1({', '.join(f'%s::{kind}' for kind in _TYPES)})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class FamilyRevocation:
    """The end of one family of a client, given by primary key; `lock` is the number of the family's lock."""

    at: datetime
    client: int
    reason: str
    family: UUID
    lock: int


def parameters(what: FamilyRevocation, event: Draft, producer: UUID, proof: Claim | None) -> list[Any]:
    """Return the parameters of a call. Raises BadEvent."""
    return [
        event.action,
        what.family,
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
