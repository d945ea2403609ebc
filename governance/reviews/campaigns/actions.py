"""What people do with a campaign and with who answers it: each action declared once, for API and console."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from entitlements.access.caller import Caller
from entitlements.api.actions import NEW, Action, Performed, Subject
from entitlements.api.fields import InputSerializer, Text
from entitlements.people.models import Person
from governance import tasks
from governance.reviews.campaigns import close, pause
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, nudge
from governance.reviews.items import errors as item_errors
from governance.reviews.items import item_links, visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.reviewers import assignment, handover
from governance.reviews.staging import launch


class Why(InputSerializer):
    """Why."""

    reason = Text(max_length=500)


class MaybeWhy(InputSerializer):
    """Why, if there is something to say."""

    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class Reminder(MaybeWhy):
    """Whom to remind: one reviewer by login, or everyone with items left."""

    reviewer = Text(max_length=64, required=False, allow_blank=True, default="")


@dataclass(frozen=True, slots=True)
class Handover:
    """Which open items another reviewer may decide, and how many were given."""

    seen: handover.Look
    given: int


def reviewer(caller: Caller) -> Person:
    """Return the caller as a reviewer. Raises MayNotReview for scripts and agents: only people review."""
    if caller.human is None:
        raise item_errors.MayNotReview
    return caller.human


def _campaigns(caller: Caller) -> QuerySet[Campaign]:
    return Campaign.objects.none() if caller.agent else visibility.campaigns_visible_to(caller.human)


def _items(caller: Caller) -> QuerySet[ReviewItem]:
    return ReviewItem.objects.none() if caller.agent else visibility.items_visible_to(caller.human)


def _stage(campaign_id: UUID, *, by: Person, reason: str = "") -> Campaign:
    """Stage a campaign; a worker does it."""
    staged = launch.stage(campaign_id, by=by, reason=reason)
    transaction.on_commit(partial(tasks.stage_campaign.delay, str(campaign_id)), robust=True)
    return staged


def _hand_over(
    campaign: Campaign,
    *,
    of: Person | None,
    to: Person,
    count: int | None,
    by: Person,
    reason: str,
    items: Collection[UUID] | None = None,
) -> Handover:
    """Give the open items of one reviewer, or some `items`, to another; without a `count` only look which."""
    seen = handover.look(campaign, of=of, to=to, items=items)
    if count is None:
        return Handover(seen, 0)
    return Handover(seen, handover.give(campaign, of=of, to=to, count=count, by=by, reason=reason, items=items))


def _reminded(performed: Performed) -> str:
    n = performed.result
    message = ngettext("%(n)d reviewer of “%(name)s” is reminded.", "%(n)d reviewers of “%(name)s” are reminded.", n)
    return message % {"n": n, "name": performed.row.name}


def _handed_over(performed: Performed) -> str:
    n = performed.result.given
    message = ngettext("%(name)s reviews %(n)d item now.", "%(name)s reviews %(n)d items now.", n)
    return message % {"n": n, "name": performed.values["to"].name}


CAMPAIGN = Subject(_campaigns, lambda campaign: [f"campaign:{campaign.slug}"], ("slug",), by=reviewer, by_key=True)
ITEM = Subject(_items, item_links.about, by=reviewer, by_key=True)

MAKE = Action("campaigns", NEW, campaigns.make, input=None, by=reviewer)
STAGE = Action("campaign-stage", CAMPAIGN, _stage, input=MaybeWhy)
ACTIVATE = Action(
    "campaign-activate",
    CAMPAIGN,
    launch.activate,
    input=None,
    done=lambda performed: (
        _("The review is launched, with %(n)d grants.") % {"n": performed.result.population_rows or 0}
    ),
)
PAUSE = Action(
    "campaign-pause",
    CAMPAIGN,
    pause.pause,
    input=Why,
    done=_("The review is paused. Reviewers cannot decide until you resume it."),
)
REMIND = Action("campaign-remind", CAMPAIGN, nudge.remind, input=Reminder, done=_reminded)
RESUME = Action("campaign-resume", CAMPAIGN, pause.resume, input=MaybeWhy, done=_("The review is resumed."))
CANCEL = Action(
    "campaign-cancel", CAMPAIGN, pause.cancel, input=Why, done=_("The review is cancelled. It stays listed.")
)
CLOSE = Action("campaign-close", CAMPAIGN, close.close, input=None, done=_("The review is closed."))
RELEASE = Action(
    "campaign-release",
    CAMPAIGN,
    deadlines.release,
    input=Why,
    done=_("Access without a decision is suspended within a quarter of an hour."),
)
HAND_OVER = Action("campaign-reassign", CAMPAIGN, _hand_over, input=None, done=_handed_over, by_key=False)
REASSIGN = Action(
    "review-item-reassign",
    ITEM,
    assignment.reassign,
    input=None,
    done=lambda performed: _("%(name)s reviews it now.") % {"name": performed.values["to"].name},
)
