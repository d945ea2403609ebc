"""Which batches, and which agents of them, a person may see."""

from __future__ import annotations

from django.db.models import QuerySet

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


def at_system(rows: QuerySet[UnmanagedAgent], system: str) -> QuerySet[UnmanagedAgent]:
    """Return those of some agents that were seen at a system, by its slug."""
    return rows.filter(pk__in=Workflow.objects.filter(system__slug=system).values("seen"))
