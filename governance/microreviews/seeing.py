"""Who sees which small reviews: as with every review, analysts, auditors and security all, a reviewer her own."""

from __future__ import annotations

from django.db.models import QuerySet

from entitlements.models import Agent, Person
from governance import reviews
from governance.models import Campaign, ReviewTrigger


def visible_to(who: Person | None) -> QuerySet[ReviewTrigger]:
    """Return the causes that were asked about in reviews that somebody may see; None is a script that may read."""
    rows = ReviewTrigger.objects.filter(campaign__in=reviews.campaigns_visible_to(who))
    return rows.select_related("agent", "campaign__owner")


def open_of(agent: Agent) -> QuerySet[ReviewTrigger]:
    """Return what is being asked about an agent now, the most urgent first."""
    rows = ReviewTrigger.objects.filter(agent=agent, campaign__state=Campaign.State.ACTIVE)
    return rows.select_related("campaign").order_by("campaign__due_at")
