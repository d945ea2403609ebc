"""The functions that each kind of review subject provides."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from audit.context import Principal
from governance.reviews.items.models import ReviewItem


@dataclass(frozen=True, slots=True)
class Cut:
    """What a decision takes away: all of it, or with `kept` all but these tools, by their keys.

    Where a cut is undone, `undoes` names who made it.
    """

    by: Principal
    reason: str
    kept: frozenset[int] | None = None
    undoes: Principal | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """The functions of one kind of thing.

    `existing` returns which keys still exist. `cut` applies a cut and returns what it took away; without `undo` it is
    final at once, and `undo` returns whether the access is back. `finish` makes it final. `probe` verifies it, with
    whether each answer `holds`. `is_stopped_by_silence`: the deadline cuts it where no reviewer answers.
    """

    existing: Callable[[Collection[str]], set[str]]
    cut: Callable[[ReviewItem, Cut], dict[str, Any]]
    probe: Callable[[ReviewItem, Cut], list[dict[str, Any]]]
    undo: Callable[[ReviewItem, dict[str, Any], Cut], bool] | None = None
    finish: Callable[[ReviewItem, Cut], None] | None = None
    is_stopped_by_silence: bool = False
