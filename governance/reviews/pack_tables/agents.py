"""The tables of agents at the time of sealing, compared with the agents seen elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import QuerySet

from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.coverage_map import reconciliation
from governance.reviews.campaigns.models import Campaign

from .tables import Row, Table, utc


def _ours(_campaign: Campaign) -> QuerySet[Any, Any]:
    return reconciliation.ours()


def ours(rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """Each registered agent, and where it was also seen elsewhere: the source, first and last time."""
    return (_row(reconciliation.compared_agent(row)) for row in rows)


def _elsewhere(_campaign: Campaign) -> QuerySet[UnmanagedAgent]:
    return reconciliation.elsewhere()


def elsewhere(rows: Iterable[UnmanagedAgent]) -> Iterator[Row]:
    """Each unmanaged agent that was seen elsewhere."""
    return (_row(reconciliation.compared_unmanaged(row)) for row in rows)


def _row(compared: reconciliation.ComparedAgent) -> Row:
    return {
        "known": compared.known,
        "agent": compared.agent,
        "seen_as": compared.seen_as,
        "state": compared.state,
        "source": compared.source,
        "first_seen_at": utc(compared.first_seen_at),
        "last_seen_at": utc(compared.last_seen_at),
        "last_call_at": utc(compared.last_call_at),
    }


TABLES: Final = {
    "03_agents": Table(_ours, ours, ("known", "state", "source"), "agent:{agent}"),
    "03_agents_elsewhere": Table(_elsewhere, elsewhere, ("state", "source")),
}
