"""What an endpoint may ask of the world: reads, documents of other issuers, and one write. Nothing else reaches out.

A node answers it from its pool, its memory and its record (`on_node.py`). Tests answer it from one transaction.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from audit.draft import Draft
from entitlements import ratelimits
from entitlements.decisions.reads import About, Reads, Rows, Values
from entitlements.decisions.snapshot import SessionFacts
from entitlements.tokens.issue_family_token import FamilyStep
from entitlements.tokens.issue_token import Answer, Basis, Claim, Claims, TokenRow
from entitlements.tokens.revoke_family import FamilyRevocation
from entitlements.tokens.revoke_tokens import TokenRevocation

from .rotation.write import Rotation
from .signals.event_writer import TakenEvent


class RequestReads(Reads, Protocol):
    """The reads of one request."""

    @property
    def is_from_memory(self) -> bool:
        """Whether an answer came from what was known before the request arrived."""
        ...

    def fresh(self) -> RequestReads:
        """Return reads for the same request that take nothing from memory."""
        ...

    def may_trust(self) -> bool:
        """Whether a fact may be taken from elsewhere than the database, as from memory; notes that one was."""
        ...

    def known(self, statement: str, values: Values) -> Rows | None:
        """Return the rows that are kept, without waiting; None where they are not."""
        ...

    def keep(self, statement: str, values: Values, rows: Rows, about: About, position: int) -> None:
        """Keep rows that this process wrote itself, on facts of that position of the feed."""
        ...

    def keep_session(self, agent: str, session: str, facts: SessionFacts) -> None:
        """Know a session that this process began."""
        ...


class Outside(Protocol):
    """Every method raises Closed when it cannot know or cannot write, and has then changed nothing that counts."""

    def position(self) -> int:
        """Return how far the change feed has been applied to what `reads` knows."""
        ...

    def reads(self) -> RequestReads:
        """Return the reads of one request."""
        ...

    async def document(self, url: str) -> Any:  # noqa: ANN401 - any JSON
        """GET a JSON document of another issuer. Raises ForbiddenAddress, Unreachable, NotStrictJson."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn to issue a token. Raises Busy."""
        ...

    def check_rate(self, who: str, limit: str = ratelimits.TOKENS) -> None:
        """Count one request of whom a limit is about: by default a client. Raises TooMany."""
        ...

    def is_used_here(self, claim: Claim) -> bool:
        """Say whether an assertion was used in this process before."""
        ...

    def claim_here(self, claim: Claim) -> bool:
        """Use an assertion up in this process alone; False when it was used here before."""
        ...

    async def mint(
        self, basis: Basis, row: TokenRow, event: Draft, claims: Claims, family: FamilyStep | None = None
    ) -> Answer:
        """Write a token with its event, and its place in a family."""
        ...

    async def end(self, ending: TokenRevocation, event: Draft, proof: Claim | None) -> Answer:
        """Write the end of tokens with its event."""
        ...

    async def end_family(self, ending: FamilyRevocation, event: Draft, proof: Claim | None) -> Answer:
        """Write the end of a token family with its event."""
        ...

    async def rotate(self, rotation: Rotation, event: Draft, proof: Claim | None) -> Answer:
        """Write another credential of a client with its event."""
        ...

    async def refuse(self, event: Draft, claims: Claims) -> Answer:
        """Record a refusal, durable when this returns unless one of `claims` was used before."""
        ...

    async def take_event(self, event: TakenEvent) -> None:
        """Write a security event, once; durable when this returns."""
        ...

    async def count_stranger(self, kind: str, source: str) -> None:
        """Count a failure of an unknown caller."""
        ...
