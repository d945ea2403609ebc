"""What the page of a campaign shows before it begins: the progress of its staging, and the checks of its launch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit import clock
from governance.people import queries as people_queries
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import reminders
from governance.reviews.population import campaigns
from governance.reviews.staging import launch, preview, staging
from governance.reviews.staging.models import CampaignStaging


def context(campaign: Campaign, *, count: bool) -> dict[str, Any]:
    """Return the template context of a campaign that has not begun; with `count`, costly counts too."""
    run = CampaignStaging.objects.filter(campaign=campaign).first()
    if campaign.state == Campaign.State.STAGING and run is not None:
        return {"run": run, "percent": staging.progress(run)}
    if campaign.state != Campaign.State.STAGED or run is None:
        grants = preview.grants_of(campaign)
        draft = preview.of_draft(campaign) if campaign.state == Campaign.State.DRAFT else None
        return {
            "run": run,
            "seen": draft,
            "is_overdue": launch.is_overdue(campaign, clock.now()),
            "small": grants <= launch.AT_ONCE,
            "must_type": draft is not None and must_type(draft),
            "planned_reminders": reminders.planned_reminders(campaign, clock.now()),
        }
    seen = preview.Preview.from_json(run.summary)
    seen = replace(seen, unassigned=preview.unassigned(campaign)) if seen.unresolved else seen
    small = seen.grants <= preview.LARGEST
    late = [each for each in people_queries.last() if each.is_silent or each.is_paused]
    return {
        "run": run,
        "seen": seen,
        "is_overdue": launch.is_overdue(campaign, clock.now()),
        "is_stale": launch.is_stale(campaign, clock.now()),
        "unresolved_now": campaigns.unresolved(campaign),
        "late": late,
        "difference": launch.differs(campaign) if small or count else None,
        "must_type": must_type(seen),
        "planned_reminders": reminders.planned_reminders(campaign, clock.now()),
    }


def must_type(seen: preview.Preview) -> bool:
    """Whether a person must type the name to begin: where access that stays unanswered would be suspended."""
    return bool(seen.silent_grants and not launch.is_rehearsal())
