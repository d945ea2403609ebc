"""The interface of `reads.py` over Django's own connection, in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from entitlements import prepared

from . import facts
from .reads import About, Rows, Values
from .snapshot import AgentFacts


class OwnConnection:
    """Reads what is there now. Nothing is kept, since nothing would say when to drop it."""

    async def rows(self, statement: str, values: Values = ()) -> Rows:
        """Return the rows as the transaction sees them."""
        return prepared.rows(statement, values)

    async def kept(self, statement: str, values: Values, about: About) -> Rows:
        """Return the rows as the transaction sees them."""
        del about
        return prepared.rows(statement, values)

    async def facts(
        self,
        agent: str,
        system: str,
        *,
        person: str | None = None,
        session: str | None = None,
        token: str | None = None,
    ) -> AgentFacts | None:
        """Return the facts as the transaction sees them, without the schemas of arguments."""
        rows = prepared.rows(facts.PERSON, [person]) if person is not None else []
        people = [(str(person), bool(is_active)) for (is_active,) in rows]
        return facts.load(agent, system, people, session=session, token=token, schemas=False)


READS: Final = OwnConnection()


def run[T](asked: Coroutine[Any, Any, T]) -> T:
    """Return what a question answers that waits for nothing but the methods above. Raises what it raises."""
    try:
        asked.send(None)
    except StopIteration as answered:
        value: T = answered.value
        return value
    asked.close()
    raise RuntimeError("The question waits for an event loop, which is not here.")
