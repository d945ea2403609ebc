"""The tables of agents as they are when a review is sealed, compared with what is seen elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import QuerySet

from entitlements.unmanaged_agents.models import SeenAgent
from governance.coverage_map import reconciliation
from governance.reviews.campaigns.models import Campaign

from .tables import Row, Table, utc


def _ours(_campaign: Campaign) -> QuerySet[Any, Any]:
    return reconciliation.ours()


def ours(rows: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """Each agent of ours, known here alone, or elsewhere as well: by which source, first and last when."""
    return (_row(reconciliation.compared_agent(row)) for row in rows)


def _elsewhere(_campaign: Campaign) -> QuerySet[SeenAgent]:
    return reconciliation.elsewhere()


def elsewhere(rows: Iterable[SeenAgent]) -> Iterator[Row]:
    """Each agent that was seen elsewhere and is none of ours in use."""
    return (_row(reconciliation.compared_unmanaged(row)) for row in rows)


def _row(each: reconciliation.ComparedAgent) -> Row:
    return {
        "known": each.known,
        "agent": each.agent,
        "seen_as": each.seen_as,
        "state": each.state,
        "source": each.source,
        "first_seen_at": utc(each.first_seen_at),
        "last_seen_at": utc(each.last_seen_at),
        "last_call_at": utc(each.last_call_at),
    }


TABLES: Final = {
    "03_agents": Table(_ours, ours, ("known", "state", "source"), "agent:{agent}"),
    "03_agents_elsewhere": Table(_elsewhere, elsewhere, ("state", "source")),
}
