"""What pages and API read of discovery sources: the last run of each, and what a source lists."""

from __future__ import annotations

from django.db.models import Count, Prefetch, Q, QuerySet

from entitlements.agent_discovery.models import DiscoveredEntry, DiscoveryRun, DiscoverySource
from entitlements.unmanaged_agents.models import UnmanagedAgent

_UNMANAGED = Q(entries__vanished_at=None, entries__seen__state=UnmanagedAgent.State.UNMATCHED)


def with_last_run(rows: QuerySet[DiscoverySource]) -> QuerySet[DiscoverySource]:
    """Add `last_runs`, a list with the latest run, and how many unmanaged agents a source lists as `unmanaged`."""
    latest = DiscoveryRun.objects.order_by("source", "-made_at", "-id").distinct("source")
    counted = rows.annotate(unmanaged=Count("entries__seen", filter=_UNMANAGED, distinct=True))
    return counted.prefetch_related(Prefetch("runs", latest, to_attr="last_runs"))


def entries(source: DiscoverySource) -> QuerySet[DiscoveredEntry]:
    """Return what a source lists, or listed."""
    return DiscoveredEntry.objects.filter(source=source).select_related("seen__agent", "owner", "source")
