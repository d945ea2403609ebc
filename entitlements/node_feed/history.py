"""Whether the feed goes on where this node stands, or its server never had what an earlier one showed.

A server that takes over may lack the last rows that the lost one showed before it answered: it recovered from a
crash, or the wait for a standby was cancelled. It gives their numbers to other changes, which a node that only
compares numbers would miss.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

_MARKS: Final = """
SELECT (SELECT c.id || ' ' || c.noted_at FROM entitlements_change c WHERE c.seq = %s),
       (SELECT c.id || ' ' || c.noted_at FROM entitlements_change c WHERE c.seq = %s)
"""


class History:
    """Remembers which change stands at a node's position. Rows are in the order of commits: with it, all before it."""

    def __init__(self) -> None:
        self._mark: str | None = None

    async def goes_on(self, connection: psycopg.AsyncConnection[Any], position: int, newest: int) -> bool:
        """Return whether the server has the change at `position`; remember that at `newest`. Raises psycopg.Error."""
        marks = await (await connection.execute(_MARKS, [position, newest], prepare=True)).fetchone()
        here, there = marks or (None, None)
        is_known, self._mark = here == self._mark, there
        return is_known
