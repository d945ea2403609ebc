"""The change feed: a row and a NOTIFY in the transaction of the change.

A deferred trigger (first migration) gives `seq` at commit under one advisory lock, so that the order of `seq` is the order of
commits and no row can appear behind a reader's position. One NOTIFY a transaction carries a sequence number and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum

from django.db import connection
from django.db.models import Max

from audit import clock

from .models import Change, GatewayNode

CHANNEL = "mandate_changes"
LEASE_SECONDS = 2.0


class Kind(StrEnum):
    """What changed; a reader drops what it knows about the agent, or about everybody when there is none."""

    AGENT = "agent"
    CLIENT = "client"
    GRANT = "grant"
    GUARDRAIL = "guardrail"
    KEY = "key"
    PERSON = "person"
    SESSION = "session"
    SYSTEM = "system"
    TOKEN = "token"
    TOOL = "tool"
    VAULT = "vault"


def note(kind: Kind, subject: str, *, agent_id: int | None = None) -> int:
    """Note one change in the running transaction; returns the row's id, which `position` turns into its sequence number."""
    change = Change.objects.create(kind=kind, subject=subject, agent_id=agent_id, noted_at=clock.now())
    return int(change.pk)


def note_many(kind: Kind, agents: Iterable[int], subject: str) -> None:
    """Note one change row for each agent in a single statement."""
    now = clock.now()
    Change.objects.bulk_create(
        [Change(kind=kind, subject=subject, agent_id=agent_id, noted_at=now) for agent_id in sorted(set(agents))]
    )


def last_noted() -> int | None:
    """Return the id of the last change that the running transaction noted: only its own have no sequence number yet."""
    return Change.objects.filter(seq=None).aggregate(last=Max("pk"))["last"]


def position(change_id: int | None) -> int:
    """Return the sequence number that a committed change got; without one, how far the feed has come."""
    if change_id is None:
        return Change.objects.aggregate(last=Max("seq"))["last"] or 0
    seq = Change.objects.values_list("seq", flat=True).get(pk=change_id)
    if seq is None:
        raise LookupError("the change is not committed yet")
    return seq


def wait_for_nodes(position: int, committed: float) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Wait until every node whose lease lives has applied `position`, or its lease has lapsed.

    `committed` is `time.monotonic()` right after the commit. Returns (acknowledged, missing): each node's milliseconds since the
    commit, and each node that fell silent with the time its lease lapsed. Never waits longer than a lease.
    """
    acknowledged: dict[str, dict[str, object]] = {}
    missing: dict[str, dict[str, object]] = {}
    pending = set(_serving())
    while pending:
        elapsed = time.monotonic() - committed
        for node, applied, lapses_at, lapsed in _state(pending):
            if applied >= position:
                acknowledged[node] = {"node": node, "after_ms": round(elapsed * 1000, 1)}
            elif lapsed:
                missing[node] = {"node": node, "lease_lapsed_at": lapses_at}
        pending -= acknowledged.keys() | missing.keys()
        if pending:
            time.sleep(0.002 if elapsed < 0.2 else 0.02)
    return list(acknowledged.values()), list(missing.values())


_LEASE = f"interval '{LEASE_SECONDS} seconds'"


def _serving() -> list[str]:
    """Return the nodes whose lease may still be alive, by the database's own clock."""
    return list(
        GatewayNode.objects.filter(stopped_at=None)
        .extra(where=[f"polled_at > clock_timestamp() - {_LEASE}"])
        .values_list("pk", flat=True)
    )


def _state(nodes: set[str]) -> list[tuple[str, int, str, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, position, to_char((polled_at + {_LEASE}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
            f" stopped_at IS NOT NULL OR polled_at + {_LEASE} < clock_timestamp()"
            " FROM entitlements_gatewaynode WHERE id = ANY(%s)",
            [sorted(nodes)],
        )
        return [tuple(row) for row in cursor.fetchall()]
