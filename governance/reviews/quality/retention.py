"""Forgetting how long reviewers looked, once thirteen months are over; what several of them took stays, put together.

Once a night a worker goes through the items of each campaign that is old enough, by steps that are a transaction each.
One that is killed loses the step it was at. Decisions lose this one value (the triggers of `decisions/sql/` let
nothing else go), and assignments and drafts what would tell it again: how long a reviewer looked, and the time of day.
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
from governance.charts.models import Figure
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import campaigns
from governance.reviews.quality.models import TimingRun
from governance.reviews.reviewers.models import Assignment

from . import care, timings

ITEMS: Final = 2000
"""How many items one transaction goes through."""
REASON: Final = "How long reviewers looked is kept for thirteen months."
_UNDER_WAY: Final = (Campaign.State.ACTIVE, Campaign.State.PAUSED)


def due() -> list[UUID]:
    """Return the campaigns of which something may be old enough, and that nobody went through since midnight (UTC)."""
    midnight = _midnight(clock.now())
    begun = Campaign.objects.filter(snapshot_at__lt=border()).exclude(state__in=Campaign.BEFORE)
    rows = begun.filter(
        Q(timing_run=None)
        | Q(timing_run__done_at=None)
        | Q(timing_run__is_over=False, timing_run__begun_at__lt=midnight)
    )
    return list(rows.order_by("snapshot_at", "pk").values_list("pk", flat=True))


def border() -> datetime:
    """Return the moment before which times are forgotten, as the database counts months; never later than it allows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT governance_thirteen_months_before(least(%s, now()))", [clock.now()])
        before: datetime = cursor.fetchone()[0]
    return before


def forget(campaign_id: UUID) -> None:
    """Forget what is old enough of a campaign, from where the last worker came to. Two at once: the second leaves."""
    while _step(campaign_id):
        pass


@transaction.atomic
def _step(campaign_id: UUID) -> bool:
    """Take the next step; say whether there may be another."""
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or campaign.state in Campaign.BEFORE:
        return False
    now = clock.now()
    TimingRun.objects.get_or_create(campaign=campaign, defaults={"begun_at": now})
    run = TimingRun.objects.select_for_update(skip_locked=True).filter(campaign=campaign).first()
    if run is None or run.is_over:
        return False  # another worker is at it, or nothing is left
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
    """Forget what is old enough of the items from one number to another; returns of how many assignments."""
    before = border()
    answers = ReviewDecision.objects.filter(
        item__campaign=campaign, item__number__range=span, dwell_ms__isnull=False, decided_at__lt=before
    )
    if run.put_together_at is None and answers.exists():
        timings.put_together(campaign)
        run.put_together_at = clock.now()
        run.save()
    count = answers.update(dwell_ms=None)
    later = ReviewDecision.objects.filter(assignment=OuterRef("pk"), decided_at__gte=before)
    asked = Assignment.objects.filter(
        Q(dwell_ms__gt=0) | Q(opened_at__gt=_day("opened_at")) | Q(evidence_opened_at__gt=_day("evidence_opened_at")),
        ~Exists(later),
        item__campaign=campaign,
        item__number__range=span,
        assigned_at__lt=before,
    )
    if campaign.state in _UNDER_WAY:
        asked = asked.exclude(state=Assignment.State.ASSIGNED)  # she is still at it
    Draft.objects.filter(assignment__in=asked).update(saved_at=_day("saved_at"))
    looked = asked.update(dwell_ms=0, opened_at=_day("opened_at"), evidence_opened_at=_day("evidence_opened_at"))
    return max(count, looked)  # each answer has an assignment of its own


def _finish(campaign: Campaign, run: TimingRun) -> None:
    """End the run of this night, and record it where something was forgotten; what was counted by person goes too."""
    run.done_at = clock.now()
    run.is_over = campaign.state not in _UNDER_WAY and not _is_left(campaign)
    run.save()
    if not run.forgotten:
        return
    Figure.objects.filter(name=care.figure(campaign)).delete()  # a worker counts it anew, without them
    log.record(
        Action.CAMPAIGN_TIMING_FORGOTTEN,
        about=campaigns.about(campaign),
        by=SYSTEM,
        reason=REASON,
        detail={"assignments": run.forgotten, "is_last": run.is_over},
    )


def _is_left(campaign: Campaign) -> bool:
    """Whether something of a campaign still says how long somebody looked."""
    answers = ReviewDecision.objects.filter(item__campaign=campaign, dwell_ms__isnull=False)
    return answers.exists() or Assignment.objects.filter(item__campaign=campaign, dwell_ms__gt=0).exists()


def _day(name: str) -> Func:
    """Cut a moment to its day."""
    return Func(F(name), template="date_trunc('day', %(expressions)s, 'UTC')", output_field=DateTimeField())


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.astimezone(UTC).date(), time.min, UTC)
