"""Reminding by hand: the reviewers with open items in a campaign, or one of them, get a notice, at most one a day."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from audit import log
from audit.actions import Action
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import NoReviewerToRemind, NotUnderWay
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.reviewers.models import Assignment


def still_to_answer(campaign: Campaign) -> QuerySet[Person]:
    """Return the reviewers with open items in a campaign."""
    waiting = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED
    )
    return Person.objects.filter(pk__in=waiting.values("reviewer"), is_active=True)


@transaction.atomic
def remind(campaign_id: UUID, *, by: Person, reason: str = "", reviewer: str = "") -> int:
    """Remind the reviewers with open items, or the one with this login; returns how many.

    The event sends each at most one notice a day.

    Raises NotFound, NotUnderWay, NoReviewerToRemind.
    """
    campaign = campaigns.locked(campaign_id)
    if campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    waiting = still_to_answer(campaign)
    waiting = waiting.filter(login=reviewer) if reviewer else waiting
    if not (count := waiting.count()):
        raise NoReviewerToRemind
    detail = {"reviewers": count, **({"reviewer": reviewer} if reviewer else {})}
    log.record(Action.CAMPAIGN_REMINDED, about=campaigns.about(campaign), by=by.principal, reason=reason, detail=detail)
    return count
