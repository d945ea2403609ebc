"""Beginning a campaign: a worker stages it, a person begins it. A small draft is staged on the way.

To begin a campaign changes no access; it asks the reviewers. Its population is at most a day old then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import (
    DuePassed,
    NotAcknowledged,
    NotADraft,
    NothingToReview,
    NotStaged,
    SnapshotTooOld,
)
from governance.reviews.population import campaigns, scopes
from governance.reviews.population.models import PopulationRow
from governance.reviews.staging.models import CampaignStaging

from . import staging

AT_ONCE: Final = 5_000
"""Up to how many grants a draft is staged on the way when a person begins it."""
FRESH: Final = timedelta(hours=24)
_STATE = Campaign.State


@transaction.atomic
def stage(campaign_id: UUID, *, by: Person, reason: str = "") -> Campaign:
    """Start the staging of a draft, or stage a staged campaign again; a worker takes the steps.

    Raises NotFound, NotADraft.
    """
    campaign = campaigns.locked(campaign_id)
    if campaign.state not in (_STATE.DRAFT, _STATE.STAGED):
        raise NotADraft
    before = {"population_sha256": campaign.population_sha256} if campaign.population_sha256 else {}
    now = clock.now()
    campaigns.save(campaign, state=_STATE.STAGING, snapshot_at=None, population_rows=None, population_sha256="")
    CampaignStaging.objects.update_or_create(
        campaign=campaign,
        defaults={
            "step": CampaignStaging.Step.CLEARING,
            "upto": 0,
            "items": 0,
            "rows": 0,
            "sha256": "",
            "carried": 0,
            "taken_at": None,
            "asked_by": by,
            "asked_at": now,
            "moved_at": now,
            "refused": "",
            "summary": {},
        },
    )
    log.record(
        Action.CAMPAIGN_STAGING, about=campaigns.about(campaign), by=by.principal, reason=reason, detail={**before}
    )
    return campaign


@transaction.atomic
def stage_now(campaign_id: UUID, *, by: Person, reason: str = "") -> Campaign:
    """Stage a campaign at once, without a worker. Raises NotFound, NotADraft, NothingToReview."""
    stage(campaign_id, by=by, reason=reason)
    while staging.advance(campaign_id):
        pass
    campaign = campaigns.locked(campaign_id)
    if campaign.state != _STATE.STAGED:
        raise NothingToReview
    return campaign


@transaction.atomic
def activate(campaign_id: UUID, *, by: Person, reason: str = "", acknowledged: bool = False) -> Campaign:
    """Begin a staged campaign; a small draft is staged on the way, and then needs no acknowledgement.

    Items without a reviewer stay unassigned, visibly; `acknowledged` says that the person has seen them.
    Raises NotFound, NotADraft, DuePassed, NotStaged, NothingToReview, SnapshotTooOld, NotAcknowledged.
    """
    campaign = campaigns.locked(campaign_id)
    if campaign.state in Campaign.BEFORE and is_overdue(campaign, clock.now()):
        raise DuePassed
    if campaign.state == _STATE.DRAFT:
        if scopes.matching(campaign.scope, campaign.kind, clock.now()).count() > AT_ONCE:
            raise NotStaged(at_most=AT_ONCE)
        campaign, acknowledged = stage_now(campaign_id, by=by, reason=reason), True
    if campaign.state == _STATE.STAGING:
        raise NotStaged
    if campaign.state != _STATE.STAGED:
        raise NotADraft
    if is_stale(campaign, clock.now()):
        raise SnapshotTooOld
    unresolved = campaigns.unresolved(campaign)
    if unresolved and not acknowledged:
        raise NotAcknowledged(unresolved=unresolved)
    is_first = is_rehearsal()
    campaigns.save(campaign, state=_STATE.ACTIVE, is_rehearsal=is_first)
    log.record(
        Action.CAMPAIGN_ACTIVATED,
        about=campaigns.about(campaign),
        by=by.principal,
        reason=reason,
        detail={
            "population": campaign.population_rows,
            "population_sha256": campaign.population_sha256,
            "unresolved": unresolved,
            "is_rehearsal": is_first,
            "scope_sha256": campaign.scope_sha256,
            "snapshot_at": campaign.snapshot_at.isoformat() if campaign.snapshot_at else None,
        },
    )
    return campaign


def differs(campaign: Campaign) -> tuple[int, int]:
    """Count the grants in scope now that were not staged, and the staged grants that have ended since."""
    taken = PopulationRow.objects.filter(campaign=campaign)
    since = scopes.matching(campaign.scope, campaign.kind, clock.now()).filter(starts_at__gte=campaign.snapshot_at)
    return (
        since.exclude(pk__in=taken.values("grant")).count(),
        taken.filter(grant__ended_at__isnull=False).count(),
    )


def is_rehearsal() -> bool:
    """Whether the next campaign to begin is the first of this installation, which suspends nothing."""
    return not Campaign.objects.filter(state__in=Campaign.BEGAN).exclude(kind=Campaign.Kind.MICRO).exists()


def is_stale(campaign: Campaign, now: datetime) -> bool:
    """Whether the staged population is too old to begin the campaign."""
    return campaign.snapshot_at is not None and campaign.snapshot_at < now - FRESH


def is_overdue(campaign: Campaign, now: datetime) -> bool:
    """Whether the due date has passed, so that no reviewer could answer before the deadline applies."""
    return campaign.due_at <= now
