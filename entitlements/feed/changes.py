"""The change feed: a row and a NOTIFY in the transaction of the change.

A deferred trigger (`sql/change_order.sql`) gives `seq` at commit under one advisory lock, so that the order of `seq`
is the order of commits and no row can appear behind a reader's position. One NOTIFY a transaction carries a sequence
number and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Coalesce

from audit import clock
from entitlements.feed import locks
from entitlements.feed.models import Change
from entitlements.feed.subjects import Subject

CHANNEL = "mandate_changes"
LEASE_SECONDS = 2.0
_SOON, _PATIENCE, _LATER = 0.002, 0.2, 0.02
"""Seconds between two looks at the nodes: often while an answer is a matter of milliseconds, then seldom."""


class NotLocked(RuntimeError):
    """A change was noted without the lock that keeps issuers away: a right could be used while it is taken away."""


def note(*changed: Subject, of: Iterable[Subject] = ()) -> int:
    """Note one change in the running transaction; returns the row's id, from which `position` finds its place.

    `of` names whose cached facts hold what changed: the agent of a grant, for example. Raises NotLocked unless the
    transaction holds the exclusive lock of each of `changed`.
    """
    _check_locked(changed)
    change = _change(changed[0], {*changed, *of})
    change.save(force_insert=True)
    return int(change.pk)


def note_many(changed: Iterable[Subject], *, of: Iterable[Subject]) -> None:
    """Note that things of one kind changed: a row for each of `of` in a single statement. Raises NotLocked.

    A single thing is named in each row; of several only whose they are.
    """
    if not (all_changed := list(changed)):
        return
    _check_locked(all_changed)
    only = all_changed if len(all_changed) == 1 else []
    rows = [_change(all_changed[0], {*only, owner}) for owner in sorted(set(of), key=lambda owner: str(owner.key))]
    Change.objects.bulk_create(rows)


def _check_locked(changed: Iterable[Subject]) -> None:
    keys = [subject.lock for subject in changed]
    unguarded = None in keys or not keys
    if unguarded or (missing := locks.not_held(key for key in keys if key is not None)):
        raise NotLocked("nothing that a lock guards" if unguarded else f"not locked: {missing}")


def _change(first: Subject, named: Collection[Subject]) -> Change:
    about = first.kind if first.key is None else f"{first.kind}:{first.key}"
    columns = {subject.column: subject.value for subject in named}
    if len(columns) != len(set(named)):
        raise ValueError("a row names one subject of a kind")
    return Change(kind=first.kind, subject=about, noted_at=clock.now(), **columns)


def last_noted() -> int | None:
    """Return the id of the last change that the running transaction noted: only its own have no sequence number yet."""
    return Change.objects.filter(seq=None).order_by("-pk").values_list("pk", flat=True).first()


def position(change_id: int | None) -> int:
    """Return the sequence number that a committed change got; without one, how far the feed has come."""
    if change_id is None:
        return int(Change.objects.aggregate(last=Coalesce(Max("seq"), 0))["last"])
    seq = Change.objects.values_list("seq", flat=True).get(pk=change_id)
    if seq is None:
        raise LookupError("the change is not committed yet")
    return seq


def wait_for_nodes(position: int, committed: float) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Wait until every node whose lease lives has applied `position`, or its lease has lapsed.

    `committed` is `time.monotonic()` right after the commit. Returns (acknowledged, missing): each node's milliseconds
    since the commit, and each node that fell silent with the time its lease lapsed. Never waits longer than a lease.
    """
    acknowledged: dict[str, dict[str, object]] = {}
    missing: dict[str, dict[str, object]] = {}
    pending = _serving()
    while pending:
        elapsed = time.monotonic() - committed
        for node, applied, lapses_at, lapsed in _state(pending):
            if applied >= position:
                acknowledged[node] = {"node": node, "after_ms": round(elapsed * 1000, 1)}
            elif lapsed:
                missing[node] = {"node": node, "lease_lapsed_at": lapses_at}
        pending -= acknowledged.keys() | missing.keys()
        if pending:
            time.sleep(_SOON if elapsed < _PATIENCE else _LATER)
    return list(acknowledged.values()), list(missing.values())


def _serving() -> set[str]:
    """Return the nodes whose lease may still be alive, by the database's own clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM entitlements_gatewaynode"
            " WHERE stopped_at IS NULL AND polled_at + make_interval(secs => %s) > clock_timestamp()",
            [LEASE_SECONDS],
        )
        return {node for (node,) in cursor.fetchall()}


def _state(nodes: set[str]) -> list[tuple[str, int, str, bool]]:
    """Return each node's position, the moment its lease lapses (UTC), and whether it has lapsed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, position, to_char(lapses AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                   stopped_at IS NOT NULL OR lapses < clock_timestamp()
            FROM (SELECT *, polled_at + make_interval(secs => %s) AS lapses FROM entitlements_gatewaynode) AS node
            WHERE id = ANY(%s)
            """,
            [LEASE_SECONDS, sorted(nodes)],
        )
        return [(node, position, lapses, lapsed) for node, position, lapses, lapsed in cursor.fetchall()]
