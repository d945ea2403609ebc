"""Deletes after thirteen months how long reviewers looked; the summary over several reviewers stays.

Once a night a worker goes through the items of each campaign that is old enough, in steps of one transaction each. A
worker that is killed loses the step it was at. Decisions lose this one value (the triggers of `decisions/sql/` allow
nothing else); assignments and drafts lose what would show it: the time spent, and the time of day.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import DateTimeField, Exists, F, Func, OuterRef, Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.quality.models import TimingRun
from governance.reviews.reviewers.models import Assignment

from . import timings

ITEMS: Final = 2000
"""How many items one transaction covers."""
REASON: Final = "How long reviewers looked is kept for thirteen months."
_UNDER_WAY: Final = (Campaign.State.ACTIVE, Campaign.State.PAUSED)


def due() -> list[UUID]:
    """Return the campaigns that may hold times to delete and had no run since midnight (UTC)."""
    midnight = _midnight(clock.now())
    begun = Campaign.objects.filter(snapshot_at__lt=cutoff()).exclude(state__in=Campaign.BEFORE)
    rows = begun.filter(
        Q(timing_run=None)
        | Q(timing_run__done_at=None)
        | Q(timing_run__is_over=False, timing_run__begun_at__lt=midnight)
    )
    return list(rows.order_by("snapshot_at", "pk").values_list("pk", flat=True))


def cutoff() -> datetime:
    """Return the moment before which times are deleted, as the database counts months."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT governance_thirteen_months_before(least(%s, now()))", [clock.now()])
        before: datetime = cursor.fetchone()[0]
    return before


def forget(campaign_id: UUID) -> None:
    """Delete the old times of a campaign, from where the last worker stopped. A concurrent second worker stops."""
    while _step(campaign_id):
        pass


@transaction.atomic
def _step(campaign_id: UUID) -> bool:
    """Do the next step; return whether there may be another."""
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or campaign.state in Campaign.BEFORE:
        return False
    now = clock.now()
    TimingRun.objects.get_or_create(campaign=campaign, defaults={"begun_at": now})
    run = TimingRun.objects.select_for_update(skip_locked=True).filter(campaign=campaign).first()
    if run is None or run.is_over:
        return False  # another worker holds it, or nothing is left
    if run.done_at is not None:
        if run.begun_at >= _midnight(now):
            return False
        run.begun_at, run.upto, run.forgotten, run.done_at = now, 0, 0, None
    items = ReviewItem.objects.filter(campaign=campaign, number__gt=run.upto).order_by("number")
    numbers = list(items.values_list("number", flat=True)[:ITEMS])
    if not numbers:
        _finish(campaign, run)
        return False
    run.forgotten += _forget(campaign, run, (numbers[0], numbers[-1]))
    run.upto = numbers[-1]
    run.save()
    return True


def _forget(campaign: Campaign, run: TimingRun, span: tuple[int, int]) -> int:
    """Delete the old times of the items from one number to another; return the number of assignments."""
    before = cutoff()
    answers = ReviewDecision.objects.filter(
        item__campaign=campaign, item__number__range=span, dwell_ms__isnull=False, decided_at__lt=before
    )
    if run.put_together_at is None and answers.exists():
        timings.summarize(campaign)
        run.put_together_at = clock.now()
        run.save()
    count = answers.update(dwell_ms=None)
    later = ReviewDecision.objects.filter(assignment=OuterRef("pk"), decided_at__gte=before)
    assignments = Assignment.objects.filter(
        Q(dwell_ms__gt=0) | Q(opened_at__gt=_day("opened_at")) | Q(evidence_opened_at__gt=_day("evidence_opened_at")),
        ~Exists(later),
        item__campaign=campaign,
        item__number__range=span,
        assigned_at__lt=before,
    )
    if campaign.state in _UNDER_WAY:
        assignments = assignments.exclude(state=Assignment.State.ASSIGNED)  # the reviewer has not answered yet
    Draft.objects.filter(assignment__in=assignments).update(saved_at=_day("saved_at"))
    changed = assignments.update(dwell_ms=0, opened_at=_day("opened_at"), evidence_opened_at=_day("evidence_opened_at"))
    return max(count, changed)  # each answer has an assignment of its own


def _finish(campaign: Campaign, run: TimingRun) -> None:
    """End this night's run; where times were deleted, record it."""
    run.done_at = clock.now()
    run.is_over = campaign.state not in _UNDER_WAY and not _is_left(campaign)
    run.save()
    if not run.forgotten:
        return
    log.record(
        Action.CAMPAIGN_TIMING_FORGOTTEN,
        about=campaigns.about(campaign),
        by=SYSTEM,
        reason=REASON,
        detail={"assignments": run.forgotten, "is_last": run.is_over},
    )


def _is_left(campaign: Campaign) -> bool:
    """Whether any row of a campaign still holds how long a reviewer looked."""
    answers = ReviewDecision.objects.filter(item__campaign=campaign, dwell_ms__isnull=False)
    return answers.exists() or Assignment.objects.filter(item__campaign=campaign, dwell_ms__gt=0).exists()


def _day(name: str) -> Func:
    """Truncate a moment to its day."""
    return Func(F(name), template="date_trunc('day', %(expressions)s, 'UTC')", output_field=DateTimeField())


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time.min, UTC)
