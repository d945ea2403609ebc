"""Notices for reviewers: what waits for their decision, and reminders of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from audit.actions import Action
from audit.models import Event
from entitlements.people.models import Person
from governance.notices.models import Kind
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

from . import for_review_owners
from .audience import Message, Notifier, key, review_begins


def _review(event: Event) -> Iterator[Message]:
    """Tell the reviewers of a campaign, each once per campaign, and at most once a day when they are reminded.

    A reminder of one reviewer names the login in its detail.
    """
    slug, again = key(event, "campaign"), event.action == Action.CAMPAIGN_REMINDED
    waiting = Assignment.objects.filter(item__campaign__slug=slug, state=Assignment.State.ASSIGNED)
    waiting = waiting.filter(item__state=ReviewItem.State.IN_REVIEW) if again else waiting
    if one := event.detail.text("reviewer"):
        waiting = waiting.filter(reviewer__login=one)
    yield from _reviewers_wait(waiting, f"reminded {event.at:%Y-%m-%d}" if again else "")


def _item_assigned(event: Event) -> Iterator[Message]:
    """Tell only the reviewers of the item that the event is about: a campaign has many thousands of items."""
    yield from _reviewers_wait(Assignment.objects.filter(item=event.key_uuid("item"), state=Assignment.State.ASSIGNED))


def _reviewers_wait(waiting: QuerySet[Assignment], reminded: str = "") -> Iterator[Message]:
    """Tell the reviewers of some assignments of one campaign."""
    first = waiting.select_related("item__campaign").first()
    if first is None:
        return
    campaign = first.item.campaign
    is_micro = campaign.kind == Campaign.Kind.MICRO
    yield Message(
        Kind.REVIEW_WAITING,
        delegations.with_delegates(Person.objects.filter(pk__in=waiting.values("reviewer"))),
        f"campaign:{campaign.slug}",
        _("Reminder: decide your items of %(name)s.") % {"name": campaign.name}
        if reminded
        else review_begins(campaign.name),
        f"/event-triggered-reviews/{campaign.slug}/" if is_micro else f"/reviews/{campaign.slug}/work/",
        dedupe=f"campaign {campaign.slug} {reminded or 'waits'}",
        waits=True,
    )


def _reassigned(event: Event) -> Iterator[Message]:
    """Tell the new reviewer; without one, tell the owner of the review."""
    yield from _item_assigned(event)
    yield from for_review_owners.reviewer_missing(event)


NOTIFIERS: Final[Mapping[Action, Notifier]] = {
    Action.CAMPAIGN_ACTIVATED: _review,
    Action.CAMPAIGN_REMINDED: _review,
    Action.REVIEW_REASSIGNED: _reassigned,
    Action.REVIEW_DECIDED: _item_assigned,
    Action.REVIEW_ABSTAINED: _item_assigned,
    Action.REVIEW_REOPENED: _item_assigned,
}
