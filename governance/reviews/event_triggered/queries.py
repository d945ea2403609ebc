"""What the list of small reviews reads: whom each waits for, or what came of it, for a page of them at once."""

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
    """One small review: the names of whom it waits for, the outcomes it has, and whether it is late."""

    campaign: Campaign
    asked: tuple[str, ...]
    unnamed: bool
    outcomes: tuple[str, ...]
    is_late: bool


def lines(campaigns: Sequence[Campaign]) -> list[EventTriggeredLine]:
    """Return a line for each campaign, in their order."""
    asked: dict[object, dict[str, None]] = defaultdict(dict)
    waiting = Assignment.objects.filter(
        item__campaign__in=campaigns, state=Assignment.State.ASSIGNED, item__state=ReviewItem.State.IN_REVIEW
    )
    for campaign, name in waiting.order_by("item__number").values_list("item__campaign", "reviewer__name"):
        asked[campaign][name or ""] = None
    said: dict[object, dict[str, None]] = defaultdict(dict)
    ended = ReviewItem.objects.filter(campaign__in=campaigns).exclude(state=ReviewItem.State.IN_REVIEW)
    for campaign, verb, state in ended.order_by("number").values_list("campaign", "current_decision__verb", "state"):
        said[campaign][verb or state] = None
    now = clock.now()
    return [
        EventTriggeredLine(
            each,
            tuple(name for name in asked[each.pk] if name),
            "" in asked[each.pk],
            tuple(said[each.pk]),
            (each.closing_at or now) > each.due_at and each.state != Campaign.State.PAUSED,
        )
        for each in campaigns
    ]
