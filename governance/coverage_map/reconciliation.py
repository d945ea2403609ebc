"""Agents compared with what is seen elsewhere: known here and there, here alone, or there alone, with source and date.

Elsewhere is what files brought, and what discovery sources list: applications and agents of an identity provider,
configuration of clients, tables of access (as a vendor exports them), logs of calls. `last_call_at` is from our own
record, by the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery

from entitlements.agent_discovery.models import DiscoverySource
from entitlements.agents.models import Agent
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.onboarding.models import OnboardingBatch
from governance.reviews.usage.models import UsageDay

BOTH, HERE, THERE = "both", "here", "there"
SOURCES: Final = dict([*OnboardingBatch.Source.choices, *DiscoverySource.Kind.choices])


@dataclass(frozen=True, slots=True)
class ComparedAgent:
    """One agent on one side or both; `agent` is its short name here, `seen_as` what it is called elsewhere."""

    known: str
    agent: str
    seen_as: str
    state: str
    source: str
    first_seen_at: datetime | None
    last_seen_at: datetime | None
    last_call_at: datetime | None


def ours() -> QuerySet[Agent, Any]:
    """Return each agent of ours that is not retired, once for each name under which it was seen elsewhere."""
    used = UsageDay.objects.filter(agent=OuterRef("pk")).order_by().values("agent").annotate(at=Max("last_at"))
    rows = Agent.objects.exclude(status=Agent.Status.RETIRED).order_by("slug", "seen_as__name")
    return rows.values(
        "slug",
        "status",
        seen=F("seen_as__name"),
        source=F("seen_as__source"),
        first=F("seen_as__first_seen_at"),
        last=F("seen_as__last_seen_at"),
        call=Subquery(used.values("at")),
    )


def elsewhere() -> QuerySet[UnmanagedAgent]:
    """Return what was seen elsewhere and is no agent of ours in use."""
    rows = UnmanagedAgent.objects.filter(Q(agent=None) | Q(agent__status=Agent.Status.RETIRED))
    return rows.select_related("agent").order_by("name", "pk")


def compared_agent(row: dict[str, Any]) -> ComparedAgent:
    """Say of an agent of ours whether it was seen elsewhere as well."""
    known = BOTH if row["seen"] else HERE
    seen = (row["seen"] or "", row["status"], row["source"] or "", row["first"], row["last"], row["call"])
    return ComparedAgent(known, row["slug"], *seen)


def compared_unmanaged(row: UnmanagedAgent) -> ComparedAgent:
    """Say of what was seen elsewhere that it is no agent of ours in use; one that is retired here is named."""
    slug = row.agent.slug if row.agent else ""
    return ComparedAgent(THERE, slug, row.name, row.state, row.source, row.first_seen_at, row.last_seen_at, None)


def counts() -> dict[str, int]:
    """Count agents by where they are known."""
    live = Agent.objects.exclude(status=Agent.Status.RETIRED)
    seen = live.filter(pk__in=UnmanagedAgent.objects.filter(agent__isnull=False).values("agent")).count()
    return {BOTH: seen, HERE: live.count() - seen, THERE: elsewhere().count()}


def listed(known: str, most: int) -> list[ComparedAgent]:
    """Return up to so many agents that are known so."""
    if known == THERE:
        return [compared_unmanaged(row) for row in elsewhere()[:most]]
    rows = ours().filter(seen_as__isnull=known == HERE)
    return [compared_agent(row) for row in rows[:most]]
