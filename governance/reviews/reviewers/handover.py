"""Reassigning the items of one reviewer, or chosen items, all at once: previewed first, and done as previewed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import batched
from typing import Final
from uuid import UUID

from django.db import transaction

from entitlements.conflicts import independence
from entitlements.errors import NotFound
from entitlements.people.models import Person
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import BadBulk
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

from . import assignment, facts

MOST: Final = 200
"""How many items change hands at once."""
LOOKED_AT: Final = 4000
"""How many items are looked at to find them."""


@dataclass(slots=True)
class Look:
    """Which items another reviewer may decide, and why not the others, of the first `LOOKED_AT`.

    `waiting` counts all of them.
    """

    waiting: int
    fits: list[UUID] = field(default_factory=list)
    barred: dict[UUID, Reason] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        """How many items were looked at."""
        return len(self.fits) + len(self.barred)


def look(campaign: Campaign, *, of: Person | None, to: Person, items: Collection[UUID] | None = None) -> Look:
    """Return what would change hands to a person: from another, the unassigned ones, or of some `items`.

    Raises NotFound where nothing waits.
    """
    rows = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED
    )
    rows = rows.filter(reviewer=of) if items is None else rows.filter(item__in=items).exclude(reviewer=to)
    waiting = list(rows.order_by("item__number").values_list("item", "stage")[:LOOKED_AT])
    if not waiting or (items is None and of == to):
        raise NotFound
    result, accounts = Look(rows.count()), independence.accounts_of(to)
    for batch in batched(waiting, MOST):
        for item, people in facts.people_at(batch).items():
            bar = assignment.against(to, people, accounts)
            if bar is not None:
                result.barred[item] = bar
            elif len(result.fits) < MOST:
                result.fits.append(item)
        if len(result.fits) == MOST:
            break
    return result


@transaction.atomic
def give(
    campaign: Campaign,
    *,
    of: Person | None,
    to: Person,
    count: int,
    by: Person,
    reason: str,
    items: Collection[UUID] | None = None,
) -> int:
    """Give a person the items that they may decide, as in `look`; `count` is how many that were in the preview.

    Raises NotFound, BadBulk where it is another number by now, and what `reassign` raises.
    """
    fits = look(campaign, of=of, to=to, items=items).fits
    if not fits or len(fits) != count:
        raise BadBulk
    assignment.hold(fits)
    for item in fits:
        assignment.reassign(item, to, by=by, reason=reason)
    return len(fits)
