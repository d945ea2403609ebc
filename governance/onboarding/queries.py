"""Which batches, and which agents of them, a person may see."""

from __future__ import annotations

from django.db.models import QuerySet

from entitlements.people.models import Person
from governance.onboarding.models import AdoptedAgent, AdoptionBatch


def visible(rows: QuerySet[AdoptedAgent], person: Person | None, *, everything: bool) -> QuerySet[AdoptedAgent]:
    """Return the agents of batches that a person may see: all, or those of which they are asked to be sponsor."""
    return rows if everything else rows.filter(sponsor=person) if person else rows.none()


def files(person: Person | None, *, everything: bool) -> QuerySet[AdoptionBatch]:
    """Return the batches that a person may see: all, or those with an agent of which they are asked to be sponsor."""
    rows = AdoptionBatch.objects.select_related("brought_by")
    if everything:
        return rows
    return rows.filter(pk__in=AdoptedAgent.objects.filter(sponsor=person).values("batch")) if person else rows.none()
