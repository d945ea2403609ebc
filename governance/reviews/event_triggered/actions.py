"""What a reviewer does with an event-triggered review: each action declared once, for API and console."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Subject
from governance.reviews.campaigns.actions import Why, reviewer
from governance.reviews.event_triggered import answer, visibility
from governance.reviews.event_triggered.models import ReviewTrigger


def _triggers(caller: Caller) -> QuerySet[ReviewTrigger]:
    return ReviewTrigger.objects.none() if caller.agent else visibility.visible_to(caller.human)


def campaign_of(trigger: ReviewTrigger) -> UUID:
    """Return the key of the campaign in which a review is answered; what is visible has one."""
    key: UUID = trigger.campaign_id  # type: ignore[assignment]
    return key


REVIEW = Subject(_triggers, lambda trigger: [f"campaign:{trigger.campaign.slug}"], ("campaign__slug",), by=reviewer)

ANSWER = Action(
    "event-triggered-review-answer",
    REVIEW,
    lambda trigger, **values: answer.answer(campaign_of(trigger), **values),
    input=None,
)
POSTPONE = Action(
    "event-triggered-review-postpone",
    REVIEW,
    lambda trigger, **values: answer.postpone(campaign_of(trigger), **values),
    input=Why,
    done=_("The review is postponed: it is due 14 days later."),
)
