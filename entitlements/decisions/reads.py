"""How a rule gets its facts: by one small interface, in both lanes.

On the edge a node answers it from its pool and from what it keeps in memory, exact to the change feed
(`entitlements/node/reads.py`). In Django the connection and transaction of the caller answers it
(`own_connection.py`), so that a rule which both lanes ask is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from .snapshot import AgentFacts

type Values = Sequence[Any] | Mapping[str, Any]
type Row = tuple[Any, ...]
type Rows = list[Row]
type FeedSubject = tuple[str, object]
"""Whom a kept fact is about: a typed column of the change feed and the key in it; None stands for every key."""
type About = Callable[[Rows], Iterable[FeedSubject]]


class Reads(Protocol):
    """Asks the database, or what is known of it. Only reads. Raises what its lane raises when it cannot know."""

    async def rows(self, statement: str, values: Values = ()) -> Rows:
        """Return the rows as they are now."""
        ...

    async def kept(self, statement: str, values: Values, about: About) -> Rows:
        """Return the rows as they were after the last change of any of their subjects; none are never kept."""
        ...

    async def facts(
        self,
        agent: str,
        system: str,
        *,
        person: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> AgentFacts | None:
        """Return the facts about an agent at a system, by their slugs; None when either is unknown.

        Agents of a delegation chain are named together (`snapshot.chain_key`).

        They know the person, the session and the token that are asked about. A token may be known as revoked later than
        the rest, where the write looks at it once more.
        """
        ...
