"""Giving what waits for one reviewer to another, all at once: looked at first, and done as it was looked at.

An answer is never given to many items by what they have in common; who answers them is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
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
"""How many are looked at to find as many."""


@dataclass(slots=True)
class Look:
    """Which of the items that wait for somebody another may answer, and why not the others; the first of them all.

    `waiting` says how many wait, looked at or not.
    """

    waiting: int
    fits: list[UUID] = field(default_factory=list)
    barred: dict[UUID, Reason] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        """How many it was asked of."""
        return len(self.fits) + len(self.barred)


def look(campaign: Campaign, *, of: Person | None, to: Person) -> Look:
    """Say what would change hands from somebody, or from nobody, to another. Raises NotFound where nothing waits."""
    rows = Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED, reviewer=of
    )
    waiting = list(rows.order_by("item__number").values_list("item", "stage")[:LOOKED_AT])
    if not waiting or of == to:
        raise NotFound
    found, accounts = Look(rows.count()), independence.accounts_of(to)
    for some in batched(waiting, MOST):
        for item, why in _against(some, to, accounts):
            if why is not None:
                found.barred[item] = why
            elif len(found.fits) < MOST:
                found.fits.append(item)
        if len(found.fits) == MOST:
            break
    return found


def _against(
    waiting: Iterable[tuple[UUID, int]], to: Person, accounts: Sequence[Person]
) -> Iterator[tuple[UUID, Reason | None]]:
    """Say of each item at its stage what stands against somebody; None where nothing does."""
    of_stage: dict[int, list[UUID]] = defaultdict(list)
    for item, stage in waiting:
        of_stage[stage].append(item)
    for stage, items in sorted(of_stage.items()):
        for item, people in facts.people_around(items, stage):
            yield item, assignment.against(to, people, accounts)


@transaction.atomic
def give(campaign: Campaign, *, of: Person | None, to: Person, count: int, by: Person, reason: str) -> int:
    """Give another what she may answer of it; `count` is how many items that were when somebody looked.

    Raises NotFound, BadBulk where it is another number by now, and what giving a single item raises.
    """
    fits = look(campaign, of=of, to=to).fits
    if not fits or len(fits) != count:
        raise BadBulk
    assignment.hold(fits)
    for item in fits:
        assignment.reassign(item, to, by=by, reason=reason)
    return len(fits)
