"""Which batches, and which agents of them, a person may see."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from entitlements.agent_discovery.models import DiscoveredEntry
from entitlements.people.models import Person
from entitlements.unmanaged_agents.models import UnmanagedAgent, Workflow
from governance.onboarding.models import OnboardedAgent, OnboardingBatch


def visible(rows: QuerySet[OnboardedAgent], person: Person | None, *, everything: bool) -> QuerySet[OnboardedAgent]:
    """Return the agents of batches that a person may see: all, or those of which they are asked to be sponsor."""
    return rows if everything else rows.filter(sponsor=person) if person else rows.none()


def files(person: Person | None, *, everything: bool) -> QuerySet[OnboardingBatch]:
    """Return the batches that a person may see: all, or those with an agent of which they are asked to be sponsor."""
    rows = OnboardingBatch.objects.select_related("brought_by")
    if everything:
        return rows
    return rows.filter(pk__in=OnboardedAgent.objects.filter(sponsor=person).values("batch")) if person else rows.none()


def with_lists(rows: QuerySet[UnmanagedAgent]) -> QuerySet[UnmanagedAgent]:
    """Add `is_gone`: discovery sources listed the agent, and none of them does any longer."""
    listed = DiscoveredEntry.objects.filter(seen=OuterRef("pk"))
    return rows.annotate(is_gone=Exists(listed) & ~Exists(listed.filter(vanished_at=None)))


def at_system(rows: QuerySet[UnmanagedAgent], system: str) -> QuerySet[UnmanagedAgent]:
    """Return those of some agents that were seen at a system, by its slug."""
    return rows.filter(pk__in=Workflow.objects.filter(system__slug=system).values("seen"))
