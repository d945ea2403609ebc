"""Claims: a person takes an unassigned item, for which no chain found a reviewer and none was named.

They are independent of it as every reviewer is, and have not abstained from it; the load cap does not count here.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from audit.actions import Action
from entitlements.access import role_reach
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound
from entitlements.people.models import Person, Role
from governance.conflicts_of_interest.routing import ItemPeople
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.items import review_rules, visibility
from governance.reviews.items.errors import ConflictOfInterest
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

from . import assignment, facts

MAY: Final = (Role.ANALYST, Role.SECURITY)
"""Who sees unassigned items and may decide them."""


class ItemTaken(DomainError):
    """Another person has the item already, or it needs no reviewer any more."""

    code, status = "item_taken", HTTPStatus.CONFLICT


@transaction.atomic
def claim(item_id: UUID, *, by: Person, reason: str = "") -> Assignment:
    """Take an item that has no reviewer; of two who try, one has it and the other is refused.

    Raises NotFound, Forbidden, NotUnderWay, ItemTaken, ConflictOfInterest.
    """
    item = visibility.items_visible_to(by).filter(pk=item_id).first()
    if item is None:
        raise NotFound
    if not role_reach.covers(by.reach(*MAY), item):
        raise Forbidden
    try:
        old = assignment.locked(item_id)
    except NotFound as error:  # another person was quicker
        raise ItemTaken from error
    if old.reviewer_id is not None:
        raise ItemTaken
    by.refresh_from_db(fields=["is_active"])
    people = facts.people_of(item_id, old.stage)
    if (bar := _against(by, people, independence.accounts_of(by))) is not None:
        raise ConflictOfInterest(who=by.login, why=bar.value)
    resolution = assignment.by_hand(by, review_rules.CLAIMED, people, by=by)
    return assignment.pass_to(old, by, resolution, by=by.principal, reason=reason, action=Action.REVIEW_CLAIMED)


def may_claim(waiting: Iterable[Assignment], person: Person) -> set[UUID]:
    """Return which unassigned items a person may claim."""
    limit = person.reach(*MAY)
    unassigned = [each for each in waiting if each.reviewer_id is None and each.state == Assignment.State.ASSIGNED]
    if not limit.everything:
        rows = ReviewItem.objects.filter(
            role_reach.within(limit, ReviewItem), pk__in=[each.item_id for each in unassigned]
        )
        reached = set(rows.values_list("pk", flat=True))
        unassigned = [each for each in unassigned if each.item_id in reached]
    people_at, accounts = (
        facts.people_at((each.item_id, each.stage) for each in unassigned),
        independence.accounts_of(person),
    )
    return {item for item, people in people_at.items() if _against(person, people, accounts) is None}


def _against(person: Person, people: ItemPeople, accounts: list[Person]) -> Reason | None:
    """Say why somebody may not take an item; None when nothing stands against it."""
    if any(each.login in people.abstained for each in accounts):
        return Reason.ABSTAINED
    return assignment.against(person, people, accounts)
