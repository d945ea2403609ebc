"""Outcomes without a decision: items whose access has ended, and unanswered items. Set-based, one event per item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import batched
from typing import Final
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet

from audit import log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from governance.database import cursors
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.item_links import NAMED, links_from
from governance.reviews.items.models import ReviewItem
from governance.reviews.kinds import subjects
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation import person_access
from governance.reviews.reviewers.models import Assignment

_OF_GRANTS: Final = (ReviewItem.Subject.ACCESS, ReviewItem.Subject.DELEGATION)


def supersede(campaign: Campaign, among: Collection[UUID] | None = None) -> int:
    """Supersede the open items, all or those `among` these, whose access has ended; returns how many."""
    open_items = _open(campaign) if among is None else _open(campaign).filter(pk__in=among)
    others = _gone(list(open_items.exclude(subject_kind__in=_OF_GRANTS)))
    alive = PopulationRow.objects.filter(item=OuterRef("pk"), grant__ended_at=None)
    ended = open_items.filter(~Exists(alive), subject_kind__in=_OF_GRANTS)
    left = set[UUID]()
    if campaign.kind == Campaign.Kind.DELEGATION:  # not searched for in a large review of access
        delegations = open_items.filter(Exists(alive), subject_kind=ReviewItem.Subject.DELEGATION)
        left = person_access.without_access(delegations.values_list("pk", flat=True))
    gone = open_items.filter(pk__in=[*(item.pk for item in others), *left])
    return sum(
        _end(rows, ReviewItem.State.SUPERSEDED, Action.REVIEW_SUPERSEDED, by=SYSTEM, reason="The access has ended.")
        for rows in (ended, gone)
    )


def _gone(items: list[ReviewItem]) -> list[ReviewItem]:
    keys: dict[str, set[str]] = defaultdict(set)
    for item in items:
        keys[item.subject_kind].add(item.subject_key)
    there = {subject: subjects.SUBJECTS[subject].existing(named) for subject, named in keys.items()}
    return [item for item in items if item.subject_key not in there[item.subject_kind]]


def is_left(item: ReviewItem) -> bool:
    """Whether any access of an item is still in force."""
    if (kind := subjects.kind_of(item)) is not None:
        return item.subject_key in kind.existing([item.subject_key])
    return item.population.filter(grant__ended_at=None).exists() and not person_access.without_access([item.pk])


def leave_unanswered(campaign: Campaign, among: Collection[UUID] | None = None, *, by: Principal, reason: str) -> int:
    """End the open items, all or those `among` these, as not answered; returns how many."""
    open_items = _open(campaign) if among is None else _open(campaign).filter(pk__in=among)
    return _end(open_items, ReviewItem.State.NO_RESPONSE, Action.REVIEW_NOT_ANSWERED, by=by, reason=reason)


def _open(campaign: Campaign) -> QuerySet[ReviewItem]:
    rows = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW)
    return rows.order_by("number").select_for_update(of=("self",))


def _end(rows: QuerySet[ReviewItem], state: ReviewItem.State, action: Action, *, by: Principal, reason: str) -> int:
    """Give items an outcome, some thousands at a time, so that a million of them are never in memory at once."""
    count = 0
    for items in batched(cursors.in_parts(rows.values_list(*NAMED), _AT_ONCE), _AT_ONCE):
        ids = [pk for pk, *_ in items]
        ReviewItem.objects.filter(pk__in=ids).update(state=state)
        live = Assignment.objects.filter(item__in=ids, state=Assignment.State.ASSIGNED)
        live.update(state=Assignment.State.WITHDRAWN)
        count += log.record_many(action, [log.Row(about=links_from(*item), reason=reason) for item in items], by=by)
    return count


_AT_ONCE: Final = 2000


def outcomes(campaign: Campaign) -> dict[str, int]:
    """Count the items by outcome, decided ones by verb."""
    rows = ReviewItem.objects.filter(campaign=campaign).values("state", "current_decision__verb")
    counted = rows.annotate(count=Count("pk")).order_by("state", "current_decision__verb")
    return {row["current_decision__verb"] or row["state"]: row["count"] for row in counted}
