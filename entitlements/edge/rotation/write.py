"""The node's side of `rotate_client_credential_v1`: its parameters from typed values. Without Django or I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from audit.draft import Draft
from entitlements.tokens.issue_token import MARGIN, Claim

_TYPES: Final = (
    *("bigint", "bigint", "bigint[]", "timestamptz", "timestamptz"),
    *("boolean", "text", "jsonb", "timestamptz", "timestamptz", "text"),
    *("text", "text", "timestamptz", "uuid", "text"),
    *("uuid", "text[]", "text", "text"),
)
PSYCOPG: Final = f"SELECT * FROM rotate_client_credential_v1({', '.join(f'%s::{kind}' for kind in _TYPES)})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Rotation:
    """Another credential of a client, given by primary key; `locks` and `agent_lock` are numbers of locks.

    `made` and `made_before` say of which credentials the decision knew. `replaces` says that the new one takes the
    place of the newest; otherwise that one becomes the previous one, until `previous_ends`.
    """

    client: int
    agent_lock: int | None
    locks: Sequence[int]
    made: datetime
    made_before: datetime | None
    replaces: bool
    jwks: dict[str, Any]
    at: datetime
    previous_ends: datetime
    by: str
    secret_sha256: str = field(default="", repr=False)


def parameters(what: Rotation, event: Draft, producer: UUID, proof: Claim | None) -> list[Any]:
    """Return the parameters of a call. Raises BadEvent."""
    return [
        what.client,
        what.agent_lock,
        list(what.locks),
        what.made,
        what.made_before,
        what.replaces,
        what.secret_sha256,
        msgspec.json.encode(what.jwks).decode(),
        what.at,
        what.previous_ends,
        what.by,
        *((proof.issuer, proof.jti, proof.expires + MARGIN) if proof else [None] * 3),
        producer,
        event.trace,
        event.uuid,
        event.links,
        *event.halves(producer, what.at),
    ]
