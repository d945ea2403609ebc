"""Closing a campaign: it is closing while its last removals become final and are verified, then closed."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import ReasonRequired
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines, effects, undecided
from governance.reviews.items.errors import DeadlineAtWork, ItemsOpen, NotTheOwner, NotUnderWay
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.remediation import remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.spot_checks import plan


@transaction.atomic
def close(campaign_id: UUID, *, by: Person, reason: str, without_answer: bool = False) -> Campaign:
    """Close a campaign: its decisions can no longer be recalled, and it is closed once every removal is verified.

    With `without_answer` its owner leaves open items unanswered: low risk is kept and flagged, anything above is
    suspended as at the deadline, and not before it. Raises NotFound, ReasonRequired, NotUnderWay, ItemsOpen,
    NotTheOwner, DeadlineAtWork.
    """
    if not reason.strip():
        raise ReasonRequired
    campaign = campaigns.locked(campaign_id)  # waits for submissions under way; later ones find it closing
    if campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    undecided.supersede(campaign)
    still_open = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW).count()
    if still_open and not without_answer:
        raise ItemsOpen(open=still_open)
    if still_open:
        _leave_unanswered(campaign, still_open, by=by, reason=reason)
    _end(campaign, by=by.principal, reason=reason, without_answer=still_open)
    return campaign


def _leave_unanswered(campaign: Campaign, still_open: int, *, by: Person, reason: str) -> None:
    """Apply the deadline to the open items at once, as the owner; what would be suspended has its full time first.

    Raises NotTheOwner, ItemsOpen before that time is over, DeadlineAtWork for more items than one transaction handles:
    a worker applies the deadline to those.
    """
    if campaign.owner_id != by.pk:
        raise NotTheOwner
    until = max([deadlines.grace_ends(campaign), *deadlines.extensions(campaign).values()])
    if not campaign.is_rehearsal and (stopped := effects.effect(campaign).stopped):
        if clock.now() < until:
            raise ItemsOpen(open=stopped, until=until.isoformat())
        if stopped > deadlines.AT_ONCE:
            raise DeadlineAtWork(open=stopped)
    if still_open > deadlines.KEPT_AT_ONCE:
        raise DeadlineAtWork(open=still_open)
    while deadlines.carry_out(campaign, by=by.principal, reason=reason):
        pass


@transaction.atomic
def close_answered(campaign_id: UUID) -> bool:
    """Close an event-triggered review once none of its items is open; returns whether it did."""
    campaign = campaigns.locked(campaign_id)
    open_ones = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW)
    if campaign.state != Campaign.State.ACTIVE or open_ones.exists():
        return False
    _end(campaign, by=SYSTEM, reason="Everything in it is answered.", without_answer=0)
    return True


def _end(campaign: Campaign, *, by: Principal, reason: str, without_answer: int) -> None:
    campaigns.save(campaign, state=Campaign.State.CLOSING, closing_at=clock.now())
    detail = {"without_answer": without_answer, "outcomes": undecided.outcomes(campaign)}
    log.record(Action.CAMPAIGN_CLOSING, about=campaigns.about(campaign), by=by, reason=reason, detail=detail)
    plan.draw(campaign, by=by)
    remediation.finish(campaign)
    _finish(campaign, by=by)


@transaction.atomic
def finish_closing(campaign_id: UUID) -> bool:
    """Close a closing campaign once every removal is verified and final, or excepted; returns whether it did."""
    campaign = campaigns.locked(campaign_id)
    return campaign.state == Campaign.State.CLOSING and _finish(campaign, by=SYSTEM)


def _finish(campaign: Campaign, *, by: Principal) -> bool:
    removals = Remediation.objects.filter(decision__item__campaign=campaign)
    not_final = Q(state=Remediation.State.VERIFIED, final_at__isnull=False, finished_at=None)
    if removals.filter(~Q(state__in=Remediation.DONE) | not_final).exists():
        return False
    campaigns.save(campaign, state=Campaign.State.CLOSED, closed_at=clock.now())
    log.record(
        Action.CAMPAIGN_CLOSED,
        about=campaigns.about(campaign),
        by=by,
        detail={
            "removals_proven": removals.filter(state=Remediation.State.VERIFIED).count(),
            "removals_excepted": removals.filter(state=Remediation.State.EXCEPTED).count(),
            "outcomes": undecided.outcomes(campaign),
        },
    )
    return True
