"""Pausing, resuming and cancelling a campaign; to pause or cancel needs a reason, which stays visible."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import ReasonRequired
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import NotPaused, NotUnderWay
from governance.reviews.population import campaigns
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging.models import SnapshotRow

_STATE = Campaign.State


@transaction.atomic
def pause(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Pause a campaign: reviewers cannot answer and no deadline applies. Removals are verified all the same.

    Raises NotFound, ReasonRequired, NotUnderWay.
    """
    campaign = _for(campaign_id, reason)
    if campaign.state != _STATE.ACTIVE:
        raise NotUnderWay
    campaigns.save(campaign, state=_STATE.PAUSED, paused_at=clock.now(), state_reason=reason)
    log.record(Action.CAMPAIGN_PAUSED, about=campaigns.about(campaign), by=by.principal, reason=reason)
    return campaign


@transaction.atomic
def resume(campaign_id: UUID, *, by: Person, reason: str = "") -> Campaign:
    """Resume a paused campaign; its due date moves by as long as it was paused. Raises NotFound, NotPaused."""
    campaign = campaigns.locked(campaign_id)
    if campaign.state != _STATE.PAUSED or campaign.paused_at is None:
        raise NotPaused
    due_at = campaign.due_at + (clock.now() - campaign.paused_at)
    campaigns.save(campaign, state=_STATE.ACTIVE, paused_at=None, state_reason="", due_at=due_at)
    log.record(
        Action.CAMPAIGN_RESUMED,
        about=campaigns.about(campaign),
        by=by.principal,
        reason=reason,
        detail={"due_at": due_at.isoformat()},
    )
    return campaign


@transaction.atomic
def cancel(campaign_id: UUID, *, by: Person, reason: str) -> Campaign:
    """Cancel a campaign that is not closing yet; it stays listed, and its decisions stay in effect.

    Raises NotFound, ReasonRequired, NotUnderWay.
    """
    campaign = _for(campaign_id, reason)
    was = campaign.state
    if was not in (*Campaign.BEFORE, _STATE.ACTIVE, _STATE.PAUSED):
        raise NotUnderWay
    live = Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED)
    withdrawn = live.update(state=Assignment.State.WITHDRAWN) if was not in Campaign.BEFORE else 0
    SnapshotRow.objects.filter(campaign=campaign).delete()
    campaigns.save(campaign, state=_STATE.CANCELLED, paused_at=None, state_reason=reason)
    log.record(
        Action.CAMPAIGN_CANCELLED,
        about=campaigns.about(campaign),
        by=by.principal,
        reason=reason,
        detail={"was": was, "withdrawn": withdrawn},
    )
    return campaign


def _for(campaign_id: UUID, reason: str) -> Campaign:
    if not reason.strip():
        raise ReasonRequired
    return campaigns.locked(campaign_id)
