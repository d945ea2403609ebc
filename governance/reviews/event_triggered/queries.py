"""What the list of event-triggered reviews reads: the reviewers or the outcomes of each, for one page at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from audit import clock
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment


@dataclass(frozen=True, slots=True)
class EventTriggeredLine:
    """One row of the list: the reviewers it waits for, whether some items have none, its outcomes, if it is late."""

    campaign: Campaign
    asked: tuple[str, ...]
    unnamed: bool
    outcomes: tuple[str, ...]
    is_late: bool


def lines(campaigns: Sequence[Campaign]) -> list[EventTriggeredLine]:
    """Return a line for each campaign, in their order."""
    reviewers: dict[object, dict[str, None]] = defaultdict(dict)
    waiting = Assignment.objects.filter(
        item__campaign__in=campaigns, state=Assignment.State.ASSIGNED, item__state=ReviewItem.State.IN_REVIEW
    )
    for campaign, name in waiting.order_by("item__number").values_list("item__campaign", "reviewer__name"):
        reviewers[campaign][name or ""] = None
    outcomes: dict[object, dict[str, None]] = defaultdict(dict)
    ended = ReviewItem.objects.filter(campaign__in=campaigns).exclude(state=ReviewItem.State.IN_REVIEW)
    for campaign, verb, state in ended.order_by("number").values_list("campaign", "current_decision__verb", "state"):
        outcomes[campaign][verb or state] = None
    now = clock.now()
    return [
        EventTriggeredLine(
            each,
            tuple(name for name in reviewers[each.pk] if name),
            "" in reviewers[each.pk],
            tuple(outcomes[each.pk]),
            (each.closing_at or now) > each.due_at and each.state != Campaign.State.PAUSED,
        )
        for each in campaigns
    ]
