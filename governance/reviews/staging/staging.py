"""Staging by a worker: step by step, each in a transaction that also records the progress.

A worker that is killed loses its current step and nothing else; the next worker repeats that step. Of two workers the
second finds the row locked and leaves. One statement reads the access in force, so that it is one snapshot; the later
steps go through the items by number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import NothingToReview
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import campaigns, snapshot
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.staging.models import CampaignStaging, SnapshotRow
from governance.reviews.suggestions import suggestions
from governance.reviews.suggestions.models import Suggestion

from . import preview

ITEMS: Final = 10_000
"""How many items one transaction handles."""
MANY: Final = 10_000
"""From how many items on joining whole tables is quicker, whatever else they contain."""
_Step = CampaignStaging.Step
_PEERS: Final = "peers"
"""The key of the peer counts, stored while suggestions are made: counted once, since that reads all access."""
_LOAD: Final = "load"
"""The key of the number of items of each reviewer, stored while items are assigned."""


def advance(campaign_id: UUID) -> bool:
    """Take the next step of a staging; returns whether there may be another. Does nothing if a worker is at it."""
    with transaction.atomic():
        runs = CampaignStaging.objects.select_for_update(skip_locked=True).filter(campaign=campaign_id)
        run = runs.first()
        if run is None or run.step == _Step.DONE:
            return False
        campaign = campaigns.locked(campaign_id)
        if campaign.state != Campaign.State.STAGING:
            return False  # it was cancelled
        _STEPS[_Step(run.step)](campaign, run)
        run.moved_at = clock.now()
        run.save()
        return campaign.state == Campaign.State.STAGING


def unfinished() -> list[UUID]:
    """Return the campaigns whose staging is not finished."""
    waiting = Campaign.objects.filter(state=Campaign.State.STAGING)
    return list(waiting.order_by("created_at").values_list("pk", flat=True))


def progress(run: CampaignStaging) -> int:
    """Return the progress of a staging in per cent; 100 only when it is done."""
    begins, ends = _SHARES[_Step(run.step)]
    within = run.upto / run.items if run.items else 0.0
    return min(int(begins + (ends - begins) * min(within, 1.0)), 100 if run.step == _Step.DONE else 99)


def _clear(campaign: Campaign, run: CampaignStaging) -> None:
    """Delete some of an earlier staging; when nothing is left, the snapshot is next."""
    items = ReviewItem.objects.filter(campaign=campaign, number__gt=run.upto, number__lte=run.upto + ITEMS)
    for held in (Assignment, Suggestion, ReviewLine, PopulationRow):
        rows = held.objects.filter(item__in=items.values("pk"))
        rows._raw_delete(rows.db)  # noqa: SLF001 - one statement; the collector would load a million rows
    items._raw_delete(items.db)  # noqa: SLF001 - as above
    left = ReviewItem.objects.filter(campaign=campaign).aggregate(last=Max("number"))["last"]
    run.items, run.upto = left or 0, run.upto + ITEMS
    if left is None:
        SnapshotRow.objects.filter(campaign=campaign).delete()
        _go_to(run, _Step.SNAPSHOT)


def _read(campaign: Campaign, run: CampaignStaging) -> None:
    run.taken_at = clock.now()
    run.items = snapshot.read(campaign, run.taken_at)
    if not run.items:
        run.refused, run.taken_at = NothingToReview.code, None
        campaigns.save(campaign, state=Campaign.State.DRAFT)
        about, detail = campaigns.about(campaign), {"asked_by": run.asked_by.login}
        log.record(
            Action.CAMPAIGN_STAGING_FAILED, about=about, by=SYSTEM, outcome="failure", code=run.refused, detail=detail
        )
        return
    _go_to(run, _Step.POPULATION)


def _take(campaign: Campaign, run: CampaignStaging) -> None:
    if run.taken_at is None:  # an earlier version of the product had nothing to read aside
        return _go_to(run, _Step.SNAPSHOT)
    snapshot.move(campaign, after=run.upto, upto=run.upto + ITEMS)
    _through(run, _Step.SUGGESTIONS)
    if run.step == _Step.SUGGESTIONS:
        run.rows, run.sha256 = snapshot.digest(campaign)
    return None


def _suggest(campaign: Campaign, run: CampaignStaging) -> None:
    if _PEERS not in run.summary:
        run.summary = {_PEERS: [[*key, count] for key, count in suggestions.peers_of(campaign).items()]}
    peers = {(entitlement, tool): count for entitlement, tool, count in run.summary[_PEERS]}
    suggestions.suggest(campaign, _moment(run), after=run.upto, upto=run.upto + ITEMS, peers=peers)
    _through(run, _Step.CARRYING)


def _carry(campaign: Campaign, run: CampaignStaging) -> None:
    run.carried = snapshot.carry(campaign, _moment(run))
    _go_to(run, _Step.REVIEWERS)


def _assign(campaign: Campaign, run: CampaignStaging) -> None:
    load = Counter[str](run.summary.get(_LOAD, {}))
    assignment.assign(campaign, after=run.upto, upto=run.upto + ITEMS, load=load)
    run.summary = {_LOAD: load}
    _through(run, _Step.DONE)
    if run.step == _Step.DONE:
        _finish(campaign, run)


@contextmanager
def _joined_whole(run: CampaignStaging) -> Iterator[None]:
    """Make PostgreSQL check a population of many items with joins of whole tables, which is forty times as fast.

    Its tables have just grown, and their statistics are out of date. For few items its own plan is better.
    """
    if run.items < MANY:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")


def _finish(campaign: Campaign, run: CampaignStaging) -> None:
    seen = preview.look(campaign, _moment(run), run.rows, campaigns.unresolved(campaign))
    run.summary = seen.as_json()
    with _joined_whole(run):
        campaigns.save(
            campaign,
            state=Campaign.State.STAGED,
            snapshot_at=run.taken_at,
            population_rows=run.rows,
            population_sha256=run.sha256,
        )
    log.record(
        Action.CAMPAIGN_STAGED,
        about=campaigns.about(campaign),
        by=SYSTEM,
        detail={
            "population": run.rows,
            "population_sha256": run.sha256,
            "items": run.items,
            "unresolved": seen.unresolved,
            "carried_forward": run.carried,
            "scope_sha256": campaign.scope_sha256,
            "snapshot_at": _moment(run).isoformat(),
            "asked_by": run.asked_by.login,
        },
    )


def _moment(run: CampaignStaging) -> datetime:
    """Return the time of the snapshot."""
    return run.taken_at or run.asked_at


def _through(run: CampaignStaging, following: CampaignStaging.Step) -> None:
    """Record that a step has handled the next items, or all of them."""
    run.upto += ITEMS
    if run.upto >= run.items:
        _go_to(run, following)


def _go_to(run: CampaignStaging, step: CampaignStaging.Step) -> None:
    run.step, run.upto = step, 0


_STEPS: Final[Mapping[CampaignStaging.Step, Callable[[Campaign, CampaignStaging], None]]] = {
    _Step.CLEARING: _clear,
    _Step.SNAPSHOT: _read,
    _Step.POPULATION: _take,
    _Step.SUGGESTIONS: _suggest,
    _Step.CARRYING: _carry,
    _Step.REVIEWERS: _assign,
}
_SHARES: Final[Mapping[CampaignStaging.Step, tuple[int, int]]] = {
    _Step.CLEARING: (0, 5),
    _Step.SNAPSHOT: (5, 10),
    _Step.POPULATION: (10, 30),
    _Step.SUGGESTIONS: (30, 70),
    _Step.CARRYING: (70, 75),
    _Step.REVIEWERS: (75, 100),
    _Step.DONE: (100, 100),
}
