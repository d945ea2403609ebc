"""`outside.py` on a node: its pool and memory, its change feed, its record."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from django.conf import settings

from audit.database import libpq
from audit.draft import Draft
from entitlements import backlog, ratelimits
from entitlements.backlog import Backlog
from entitlements.node.node import Node
from entitlements.node.reads import NodeReads
from entitlements.tokens import issue_family_token, issue_token, revoke_family, revoke_tokens
from entitlements.tokens.issue_family_token import FamilyStep
from entitlements.tokens.issue_token import Answer, Basis, Claim, Claims, TokenRow
from entitlements.tokens.revoke_family import FamilyRevocation
from entitlements.tokens.revoke_tokens import TokenRevocation
from entitlements.upstream import egress

from .database.writer import Writer
from .rate_limits import RateLimits
from .rotation import write
from .rotation.write import Rotation
from .signals.event_writer import EventWriter, TakenEvent
from .used_here import UsedHere

logger = logging.getLogger(__name__)


class OnNode:
    """Serves the issuers' endpoints of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._writer = Writer(libpq.address(settings.ISSUE_DATABASE))
        self._events = EventWriter(libpq.address(settings.ISSUE_DATABASE))
        self._limits = RateLimits(settings.REDIS_URL.reveal())
        self._used = UsedHere()
        self._backlog = Backlog()

    def start(self) -> None:
        """Begin what runs beside the requests."""
        self._limits.start()

    async def stop(self) -> None:
        """Let go of what is held."""
        await self._limits.stop()
        await self._writer.close()
        await self._events.close()

    def position(self) -> int:
        """Return how far the change feed has been applied to what `reads` knows.

        Raises Closed without a lease, and without the time: even a refusal could not be counted.
        """
        self._node.check_open()
        self._node.now()
        return self._node.feed.position

    def reads(self) -> NodeReads:
        """Return the reads of one request."""
        return self._node.reads()

    async def document(self, url: str) -> Any:  # noqa: ANN401 - any JSON
        """GET a JSON document of another issuer. Raises ForbiddenAddress, Unreachable, NotStrictJson, Busy."""
        async with backlog.outside():  # a server that is slow must not hold up who asks for no such document
            return await egress.fetch_json(url)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for a turn to issue a token. Raises Busy."""
        return self._backlog.turn()

    def check_rate(self, who: str, limit: str = ratelimits.TOKENS) -> None:
        """Count one request of whom a limit is about. Raises TooMany."""
        self._limits.check(who, limit)

    def is_used_here(self, claim: Claim) -> bool:
        """Say whether an assertion was used in this process before."""
        return self._used.knows(claim)

    def claim_here(self, claim: Claim) -> bool:
        """Use an assertion up in this process alone; False when it was used here before."""
        return self._used.claim(claim)

    async def mint(
        self, basis: Basis, row: TokenRow, event: Draft, claims: Claims, family: FamilyStep | None = None
    ) -> Answer:
        """Write a token with its event, and its place in a family. Raises Closed."""
        self._node.check_open()
        events = 2 if row.begins else 1

        def parameters(producer: UUID) -> list[Any]:
            token = issue_token.mint(basis, row, event, producer, claims)
            return token if family is None else issue_family_token.parameters(token, family)

        statement = issue_token.PSYCOPG if family is None else issue_family_token.PSYCOPG
        return await self._writer.write(parameters, events, statement)

    async def end(self, what: TokenRevocation, event: Draft, proof: Claim | None) -> Answer:
        """Write the end of tokens with its event. Raises Closed."""
        return await self._writer.write(
            lambda producer: revoke_tokens.parameters(what, event, producer, proof), 1, revoke_tokens.PSYCOPG
        )

    async def end_family(self, what: FamilyRevocation, event: Draft, proof: Claim | None) -> Answer:
        """Write the end of a token family with its event. Raises Closed."""
        return await self._writer.write(
            lambda producer: revoke_family.parameters(what, event, producer, proof), 1, revoke_family.PSYCOPG
        )

    async def rotate(self, what: Rotation, event: Draft, proof: Claim | None) -> Answer:
        """Write another credential of a client with its event. Raises Closed."""
        self._node.check_open()
        return await self._writer.write(
            lambda producer: write.parameters(what, event, producer, proof), 1, write.PSYCOPG
        )

    async def refuse(self, event: Draft, claims: Claims) -> Answer:
        """Record a refusal, durable when this returns unless one of `claims` was used before. Raises Closed."""
        return await self._writer.write(lambda producer: issue_token.refuse(event, producer, claims), 1)

    async def take_event(self, event: TakenEvent) -> None:
        """Write a security event, once; durable when this returns. Raises Closed."""
        self._node.check_open()
        await self._events.take(event)

    async def count_stranger(self, kind: str, source: str) -> None:
        """Count a failure of an unknown caller."""
        self._node.strangers.count(kind, source)
