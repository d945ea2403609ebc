"""The node's side of `issue_token_v3`: its parameters from typed values, and what it answered. Without Django or I/O.

A node holds one producer a connection. The database gives each event its number, and the node checks it: one that is
not the next says that an event was taken out of the record, or that another producer wrote under this name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from audit import context
from audit.actions import Action
from audit.draft import Draft, draft
from entitlements.session_policies.rules import UNKNOWN, SignedIn

MARGIN: Final = timedelta(minutes=2)
"""How much longer than an assertion its claim is kept: more than any leeway of a clock."""
OTHER_SESSION: Final = "sign_in"
"""The answer's code where a session would have begun and the sign-in has one already, which the answer names."""

DPOP: Final = "dpop"
"""The code of an outcome `replayed` where it was the DPoP proof that was used before."""

_TYPES: Final = {
    "action": "text",
    "decided": "timestamptz",
    "position": "bigint",
    "locks": "bigint[]",
    "agent": "bigint",
    "client": "bigint",
    "system": "bigint",
    "people": "bigint[]",
    "groups": "bigint[]",
    "tools": "bigint[]",
    "grants": "uuid[]",
    "trusted_issuer": "bigint",
    "identity_link": "bigint",
    "signing_key": "text",
    "jti": "uuid",
    "kind": "text",
    "person": "bigint",
    "scope": "text",
    "expires": "timestamptz",
    "drawn": "uuid[]",
    "parent": "uuid",
    "session": "uuid",
    "sign_in": "text",
    "auth_time": "timestamptz",
    "idle_seconds": "integer",
    "session_expires": "timestamptz",
    "proof_issuer": "text",
    "proof_jti": "text",
    "proof_until": "timestamptz",
    "claim_issuer": "text",
    "claim_jti": "text",
    "claim_until": "timestamptz",
    "authorization_code": "text",
    "opaque_sha256": "text",
    "opaque_expires": "timestamptz",
    "producer": "uuid",
    "trace": "text",
    **{
        f"{event}_{part}": kind
        for event in ("event", "used", "begun")
        for part, kind in (("uuid", "uuid"), ("links", "text[]"), ("head", "text"), ("tail", "text"))
    },
    "chain": "bigint[]",
    "jkt": "text",
    "dpop_jti": "text",
    "dpop_until": "timestamptz",
    "authorization_details": "jsonb",
    "chain_clients": "bigint[]",
    "proven_jkt": "text",
    "signed_in_at": "timestamptz",
    "acr": "text",
    "amr": "text",
}
"""The parameters of the function in their order, with their types."""
_BETWEEN: Final = [*_TYPES].index("proof_issuer") - [*_TYPES].index("client") - 1

PSYCOPG: Final = f"SELECT * FROM issue_token_v3({', '.join(f'%s::{kind}' for kind in _TYPES.values())})"  # noqa: S608
"""The statement; `mint` and `refuse` return what belongs to it, in order."""


class Outcome(StrEnum):
    """What became of a call; the head of `sql/issue_token_v3.sql` says what each means."""

    ISSUED = "issued"
    REFUSED = "refused"
    USED = "used"
    REPLAYED = "replayed"
    BEHIND = "behind"
    STALE = "stale"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision stood on: when it was made, how far its facts had come, and whom they were about.

    `locks` are numbers of `entitlements.feed.locks`, in its order. The rest are primary keys; `people` holds the
    subject, the sponsor and the owner, `grants`, `tools` and `groups` all that the decision looked at.
    """

    decided: datetime
    position: int
    locks: Sequence[int]
    client: int
    agent: int | None = None
    system: int | None = None
    people: Sequence[int] = ()
    groups: Sequence[int] = ()
    tools: Sequence[int] = ()
    grants: Sequence[UUID] = ()
    trusted_issuer: int | None = None
    identity_link: int | None = None
    signing_key: str | None = None


@dataclass(frozen=True, slots=True)
class BegunSession:
    """A session that begins with the token; `event` is its `session.begun`, `stated` what its sign-in says."""

    sign_in: str
    auth_time: datetime | None
    idle_seconds: int
    expires: datetime
    event: Draft
    stated: SignedIn = UNKNOWN


@dataclass(frozen=True, slots=True)
class TokenRow:
    """The row of a token. `drawn` are the grants that it draws on, `parent` the token that is redeemed.

    With `begins` its session begins now, under the id that `session` gives. A token of kind `id_token` leaves
    django-oauth-toolkit's rows instead: its opaque access token is kept as `opaque_sha256`, until `opaque_expires`.
    `chain` are the keys of the agents behind the one that acts, the nearest first, `chain_clients` those of the clients
    through which they acted, `jkt` the thumbprint of the key that
    the token is bound to, `authorization_details` the JSON of those granted.
    """

    jti: UUID
    kind: str
    scope: str
    expires: datetime
    person: int | None = None
    drawn: Sequence[UUID] = ()
    parent: UUID | None = None
    session: UUID | None = None
    begins: BegunSession | None = None
    opaque_sha256: str | None = None
    opaque_expires: datetime | None = None
    chain: Sequence[int] = ()
    jkt: str = ""
    authorization_details: str | None = None
    chain_clients: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """An assertion that is used once; `expires` is its own end."""

    issuer: str
    jti: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What is used up by the request, whatever becomes of it; `used` is recorded where it was used up before.

    `proof` is the client's own assertion, `assertion` the one that is redeemed, `code` an authorization code's digest.
    `dpop` is a DPoP proof (RFC 9449), whose issuer is the thumbprint of its key.
    """

    proof: Claim | None = None
    assertion: Claim | None = None
    code: str | None = None
    used: Draft | None = None
    dpop: Claim | None = None


NOTHING: Final = Claims()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function returned."""

    outcome: Outcome
    code: str
    session: UUID | None
    sequence: int | None
    moment: datetime | None


class OutOfOrder(RuntimeError):
    """An event of this producer has a number that was not due."""

    code = "record_out_of_order"


@dataclass(slots=True)
class Producer:
    """The life of one connection: its name in the record, the last number that it has seen, and what is under way."""

    uuid: UUID = field(default_factory=uuid4)
    committed: int = 0

    def take(self, answer: Answer, events: int) -> None:
        """Note the number that a call of `events` events got. Raises OutOfOrder; then `end` this producer."""
        if answer.sequence is None:
            return
        if answer.sequence != self.committed + (events if answer.outcome is Outcome.ISSUED else 1):
            message = f"event {answer.sequence} of {self.uuid} follows {self.committed}"
            raise OutOfOrder(message)
        self.committed = answer.sequence

    def end(self, under_way: int) -> Draft:
        """Begin a new life, whose first event is the one returned: it says how far the old one surely came.

        `under_way` is how many events were sent and not answered: each may be in the record or not.
        """
        ended = {"producer": self.uuid, "committed": self.committed, "attempted": self.committed + under_way}
        self.uuid, self.committed = uuid4(), 0
        return draft(Action.PRODUCER_ENDED, by=context.SYSTEM, outcome="unknown", detail=ended)


def mint(basis: Basis, row: TokenRow, event: Draft, producer: UUID, claims: Claims = NOTHING) -> list[Any]:
    """Return the parameters of a call that issues a token. Raises BadEvent; every event gets the decision's moment."""
    begins = row.begins
    return [
        str(Action.TOKEN_ISSUED),
        basis.decided,
        basis.position,
        [*basis.locks],
        basis.agent,
        basis.client,
        basis.system,
        [*basis.people],
        [*basis.groups],
        [*basis.tools],
        [*basis.grants],
        basis.trusted_issuer,
        basis.identity_link,
        basis.signing_key,
        row.jti,
        row.kind,
        row.person,
        row.scope,
        row.expires,
        [*row.drawn],
        row.parent,
        row.session,
        *((begins.sign_in, begins.auth_time, begins.idle_seconds, begins.expires) if begins else [None] * 4),
        *_claims(claims),
        row.opaque_sha256,
        row.opaque_expires,
        producer,
        event.trace,
        *_event(event, producer, basis.decided),
        *_event(claims.used, producer, basis.decided),
        *_event(begins.event if begins else None, producer, basis.decided),
        [*row.chain],
        row.jkt or None,
        *_dpop(claims),
        row.authorization_details,
        [*row.chain_clients],
        claims.dpop.issuer if claims.dpop else None,
        *(_stated(begins.stated) if begins else [None] * 3),
    ]


def refuse(event: Draft, producer: UUID, claims: Claims = NOTHING, *, client: int | None = None) -> list[Any]:
    """Return the parameters of a call that records a refusal, or the end of a producer, and keeps the claims.

    `client` is the primary key of the client whose authorization code is used up, where one is.
    """
    return [
        event.action,
        event.at,
        None,
        None,
        None,
        client,
        *[None] * _BETWEEN,
        *_claims(claims),
        None,
        None,
        producer,
        event.trace,
        *_event(event, producer, event.at),
        *_event(claims.used, producer, event.at),
        *_event(None, producer, event.at),
        None,
        None,
        *_dpop(claims),
        None,
        None,
        claims.dpop.issuer if claims.dpop else None,
        *[None] * 3,
    ]


def answer(row: Sequence[Any]) -> Answer:
    """Read the row that the function returned."""
    outcome, code, session, sequence, moment = row
    return Answer(Outcome(outcome), code, session, sequence, moment)


def _claims(claims: Claims) -> list[Any]:
    parameters: list[Any] = []
    for claim in (claims.proof, claims.assertion):
        parameters += [claim.issuer, claim.jti, claim.expires + MARGIN] if claim else [None] * 3
    return [*parameters, claims.code]


def _dpop(claims: Claims) -> list[Any]:
    return [claims.dpop.jti, claims.dpop.expires + MARGIN] if claims.dpop else [None] * 2


def _stated(known: SignedIn) -> list[Any]:
    at = datetime.fromtimestamp(known.at, UTC) if known.at > -math.inf else None
    return [at, known.acr, " ".join(sorted(known.amr))]


def _event(event: Draft | None, producer: UUID, at: datetime) -> list[Any]:
    return [event.uuid, event.links, *event.halves(producer, at)] if event else [None] * 4
