"""Who sees which event-triggered reviews: analysts, auditors and security see all, a reviewer their own."""

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


def visible_to(person: Person | None) -> QuerySet[ReviewTrigger]:
    """Return the causes whose reviews a person may see; None is a script whose scope lets it read."""
    rows = ReviewTrigger.objects.filter(campaign__in=visibility.campaigns_visible_to(person))
    return rows.select_related("agent", "campaign__owner")


def dormancy_reviews(person: Person) -> QuerySet[ReviewTrigger]:
    """Return the open event-triggered reviews that ask, or asked, a person whether a dormant agent is still needed.

    Their answer counts for the agent as well once it is final (`settlement`), so no other page asks them meanwhile.
    """
    assignments = Assignment.objects.filter(
        visibility.answerable_by(person), state__in=_ASKED, item__campaign__kind=Campaign.Kind.MICRO
    )
    rows = ReviewTrigger.objects.filter(kind=Kind.DORMANT, campaign__state=Campaign.State.ACTIVE)
    return rows.filter(campaign__in=assignments.values("item__campaign")).select_related("campaign")


def open_reviews(agent: Agent) -> QuerySet[ReviewTrigger]:
    """Return the open event-triggered reviews of an agent, the first due first."""
    rows = ReviewTrigger.objects.filter(agent=agent, campaign__state=Campaign.State.ACTIVE)
    return rows.select_related("campaign").order_by("campaign__due_at")
