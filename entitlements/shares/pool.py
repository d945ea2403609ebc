"""Places that callers share: one caller may hold no more of them than are free, so there is always one for the next.

A caller that is alone gets half of a pool, the next one half of the rest. A place is O(1) to take and to give back.
"""

from __future__ import annotations

from collections.abc import Hashable


class Pool:
    """So many places, and who holds how many."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0
        self._of: dict[Hashable, int] = {}

    def has_room(self, caller: Hashable) -> bool:
        """Whether the share of a caller has room for one more place."""
        return self._of.get(caller, 0) < self.size - self.held

    def add(self, caller: Hashable) -> None:
        """Give a caller a place, also one beyond its share."""
        self.held += 1
        self._count(caller, 1)

    def remove(self, caller: Hashable) -> None:
        """Take a place back."""
        self.held -= 1
        self._count(caller, -1)

    def _count(self, caller: Hashable, more: int) -> None:
        if count := self._of.get(caller, 0) + more:
            self._of[caller] = count
        else:
            del self._of[caller]
