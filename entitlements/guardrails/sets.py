"""The sets of guardrails that this process has met: each is compiled once, by the id of its newest version.

Where a set is read is up to its lane: Django's own connection, or a node's pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from entitlements.guardrails import terms
from entitlements.guardrails.rules import Guardrail

GUARDRAILS: Final = """
SELECT DISTINCT ON (v.key) v.key, v.name, v.position, v.effect, v.mode, v.conditions::text, v.max_age, v.acr::text
FROM entitlements_guardrailversion v JOIN entitlements_guardrailversion newest ON newest.id = %s::uuid
WHERE v.position <= newest.position ORDER BY v.key, v.position DESC
"""
"""The set of guardrails whose newest version is this. A version that is confirmed never changes, so no set does."""
_MOST_SETS: Final = 8

type Row = Sequence[Any]

_guardrails: dict[str, tuple[Guardrail, ...]] = {}


def current(newest: str | None) -> tuple[Guardrail, ...]:
    """Return a set that was kept; the empty one where there is no version. Raises KeyError."""
    return () if newest is None else _guardrails[newest]


def unread(principals: Iterable[Row]) -> list[str]:
    """Name the sets of guardrails among rows of PRINCIPALS that GUARDRAILS must still read."""
    return [newest for newest in {row[-1] for row in principals} if newest is not None and newest not in _guardrails]


def keep(newest: str, rows: Iterable[Row]) -> None:
    """Compile and keep the set that GUARDRAILS returned; the oldest go."""
    _guardrails[newest] = terms.compile_all(rows)
    for each in [*_guardrails][:-_MOST_SETS]:
        _guardrails.pop(each, None)
