"""Who sees which small reviews: as with every review, analysts, auditors and security all, a reviewer her own."""

from __future__ import annotations

from django.db.models import QuerySet

from entitlements.agents.models import Agent
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import visibility
from governance.reviews.reviewers.models import Assignment

from .causes import Kind

_ASKED = (Assignment.State.ASSIGNED, Assignment.State.SUBMITTED)


def visible_to(who: Person | None) -> QuerySet[ReviewTrigger]:
    """Return the causes that were asked about in reviews that somebody may see; None is a script that may read."""
    rows = ReviewTrigger.objects.filter(campaign__in=visibility.campaigns_visible_to(who))
    return rows.select_related("agent", "campaign__owner")


def dormancy_reviews(who: Person) -> QuerySet[ReviewTrigger]:
    """Return the small reviews under way that ask, or asked, somebody whether an agent that nobody uses is needed.

    Her answer there says so for the agent too once it stands (`settling`), so nobody asks her elsewhere meanwhile.
    """
    hers = Assignment.objects.filter(
        visibility.answerable_by(who), state__in=_ASKED, item__campaign__kind=Campaign.Kind.MICRO
    )
    rows = ReviewTrigger.objects.filter(kind=Kind.DORMANT, campaign__state=Campaign.State.ACTIVE)
    return rows.filter(campaign__in=hers.values("item__campaign")).select_related("campaign")


def open_reviews(agent: Agent) -> QuerySet[ReviewTrigger]:
    """Return what is being asked about an agent now, the most urgent first."""
    rows = ReviewTrigger.objects.filter(agent=agent, campaign__state=Campaign.State.ACTIVE)
    return rows.select_related("campaign").order_by("campaign__due_at")
