"""Rows that a node keeps until the change feed names one of their subjects.

What is read says how far the feed had come before. Rows that the feed has passed meanwhile for one of their subjects
are read again, so what is answered from here is never older than what this node has acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entitlements.codes import Code
from entitlements.decisions.reads import About, FeedSubject, Rows, Values
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import Snapshots

MOST_KEPT: Final = 100_000
MOST_PASSED: Final = 100_000
_MOST_TRIES: Final = 10
_POSITION: Final = "SELECT coalesce(max(seq), 0) FROM entitlements_change"

type _Key = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class _KeptRows:
    rows: Rows
    position: int
    about: frozenset[FeedSubject]


class KeptRows:
    """Reads rows and keeps them by statement and values."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._kept: dict[_Key, _KeptRows] = {}
        self._of: dict[FeedSubject, set[_Key]] = {}
        self._passed: dict[FeedSubject, int] = {}
        self._passed_all = 0
        self._generation = 0

    def __len__(self) -> int:
        return len(self._kept)

    def current(self, statement: str, values: Values) -> Rows | None:
        """Return what is kept, without waiting."""
        kept = self._kept.get(_key(statement, values))
        return None if kept is None else kept.rows

    async def get(self, statement: str, values: Values, about: About) -> Rows:
        """Read the rows now, and keep them if they say whom they are about. Raises Closed (facts unknown)."""
        key = _key(statement, values)
        for _ in range(_MOST_TRIES):
            generation = self._generation
            (found,), rows = await self._snapshots.query_many((_POSITION, ()), (statement, values))
            position = int(found[0])
            subjects = frozenset(about(rows)) if rows else frozenset()
            if generation == self._generation and self._is_current(subjects, position):
                if subjects:
                    self._keep(key, _KeptRows(rows, position, subjects))
                return rows
        raise Closed(Code.FEED_UNKNOWN)

    def keep(self, statement: str, values: Values, rows: Rows, about: About, position: int) -> None:
        """Keep rows that this process wrote itself; `position` is how far the feed had come at least, then."""
        subjects = frozenset(about(rows))
        if self._is_current(subjects, position):
            self._keep(_key(statement, values), _KeptRows(rows, position, subjects))

    def drop(self, subjects: Iterable[FeedSubject], seq: int) -> None:
        """Throw away what was read about any of these before the change `seq`."""
        for column, key in subjects:
            for subject in ((column, key), (column, None)):
                self._passed[subject] = seq
                for each in list(self._of.get(subject, ())):
                    self._drop_older(each, seq)
        while len(self._passed) > MOST_PASSED:
            self._passed_all = max(self._passed_all, self._passed.pop(next(iter(self._passed))))

    def drop_all(self, seq: int) -> None:
        """Throw away what was read about anybody before the change `seq`."""
        self._passed_all = seq
        self._passed.clear()
        for key in list(self._kept):
            self._drop_older(key, seq)

    def forget(self) -> None:
        """Throw everything away, what is being read too: the feed begins again."""
        self._generation += 1
        self._kept.clear()
        self._of.clear()
        self._passed.clear()
        self._passed_all = 0

    def _is_current(self, subjects: Iterable[FeedSubject], position: int) -> bool:
        passed = max((self._passed.get(subject, 0) for subject in subjects), default=0)
        return position >= max(passed, self._passed_all)

    def _keep(self, key: _Key, kept: _KeptRows) -> None:
        self._remove(key)
        while len(self._kept) >= MOST_KEPT:
            self._remove(next(iter(self._kept)))
        self._kept[key] = kept
        for subject in kept.about:
            self._of.setdefault(subject, set()).add(key)

    def _drop_older(self, key: _Key, seq: int) -> None:
        if self._kept[key].position < seq:
            self._remove(key)

    def _remove(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        for subject in kept.about:
            keys = self._of[subject]
            keys.discard(key)
            if not keys:
                del self._of[subject]


def _key(statement: str, values: Values) -> _Key:
    return statement, tuple(values.values() if isinstance(values, dict) else values)
