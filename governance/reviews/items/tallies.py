"""Reading the tallies of a review (`ItemTally`, `AssignmentTally`): ten items cost the same as a million.

Closing, the evidence, and the invariant that compares the two count the items themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, Sum

from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import AssignmentTally, ItemTally, ReviewItem
from governance.reviews.items.review_rules import Verb
from governance.reviews.reviewers.models import Assignment

_OPEN, _ASSIGNED = ReviewItem.State.IN_REVIEW, Assignment.State.ASSIGNED
_ASKED_NOBODY: Final = (ReviewItem.State.EXCLUDED, ReviewItem.State.CARRIED_FORWARD)
_FOLD: Final = """
WITH gone AS (
    DELETE FROM {table} WHERE id IN (
        SELECT id FROM {table} WHERE id IN (
            SELECT id FROM (SELECT id, count(*) OVER (PARTITION BY campaign_id, {of}) AS same FROM {table}) t
            WHERE same > 1
        ) ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING campaign_id, {of}, count
)
INSERT INTO {table} (campaign_id, {of}, count)
SELECT campaign_id, {of}, sum(count) FROM gone GROUP BY campaign_id, {of} HAVING sum(count) <> 0
"""
_TABLES: Final = (
    (ItemTally._meta.db_table, "outcome, day"),
    (AssignmentTally._meta.db_table, "reviewer_id, state"),
)


def outcomes(campaign: Campaign) -> dict[str, int]:
    """Return the number of items by outcome, decided ones by verb. Before a campaign is staged there are none."""
    rows = ItemTally.objects.filter(campaign=campaign).values("outcome").annotate(n=Sum("count"))
    return {row["outcome"]: row["n"] for row in rows if row["n"]}


def still_open(campaigns: Collection[Campaign]) -> dict[UUID, int]:
    """Return how many items of each campaign are open; campaigns without any are left out."""
    rows = ItemTally.objects.filter(campaign__in=list(campaigns), outcome=_OPEN).values("campaign")
    return {row["campaign"]: row["n"] for row in rows.annotate(n=Sum("count")) if row["n"]}


def decided(campaigns: Collection[Campaign]) -> dict[UUID, dict[str, int]]:
    """Return how many items of each campaign were decided, by verb; campaigns without any are left out."""
    rows = ItemTally.objects.filter(campaign__in=list(campaigns), outcome__in=list(Verb)).values("campaign", "outcome")
    counts: dict[UUID, dict[str, int]] = defaultdict(dict)
    for row in rows.annotate(n=Sum("count")):
        if row["n"]:
            counts[row["campaign"]][row["outcome"]] = row["n"]
    return dict(counts)


def by_day(campaign: Campaign) -> tuple[int, list[tuple[date, int]]]:
    """Return how many items reviewers were asked about, and how many of them were decided on each day."""
    rows = ItemTally.objects.filter(campaign=campaign).values("outcome", "day").annotate(n=Sum("count"))
    total, done = 0, defaultdict[date, int](int)
    for row in rows.order_by("day"):
        total += row["n"] if row["outcome"] not in _ASKED_NOBODY else 0
        if row["day"] is not None:
            done[row["day"]] += row["n"]
    return total, [(day, count) for day, count in done.items() if count]


def reviewers(campaign: Campaign) -> list[dict[str, Any]]:
    """Return each reviewer with their number of items, submitted and open; None for the unassigned items."""
    rows = AssignmentTally.objects.filter(campaign=campaign)
    named = rows.values("reviewer", login=F("reviewer__login"), name=F("reviewer__name"))
    counted = named.annotate(
        all=Sum("count"),
        submitted=Sum("count", filter=Q(state=Assignment.State.SUBMITTED), default=0),
        open=Sum("count", filter=Q(state=_ASSIGNED), default=0),
    )
    return [dict(row) for row in counted if row["all"]]


def unresolved() -> list[tuple[Campaign, int]]:
    """Return the active campaigns with unassigned items and their number, the most first."""
    rows = AssignmentTally.objects.filter(reviewer=None, state=_ASSIGNED, campaign__state=Campaign.State.ACTIVE)
    counts = {row["campaign"]: row["n"] for row in rows.values("campaign").annotate(n=Sum("count")) if row["n"]}
    return sorted(((each, counts[each.pk]) for each in Campaign.objects.filter(pk__in=counts)), key=lambda row: -row[1])


def compact() -> None:
    """Replace rows that count the same by their sum. Two workers at once share the work; readers see the same sums."""
    with connection.cursor() as cursor:
        for table, columns in _TABLES:
            cursor.execute(_FOLD.format(table=table, of=columns))
