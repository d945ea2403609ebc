"""Taking an item for oneself that waits for nobody: no chain found a reviewer, and whoever runs reviews has named none.

Items never wait for a group, so nothing else is taken. Whoever takes one is independent of it as every reviewer is,
and has not said that they cannot judge it; how much else they have to answer stands against nobody who wants more.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from audit.actions import Action
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden, NotFound
from entitlements.people.models import Person, Role
from governance.conflicts_of_interest.routing import ItemPeople
from governance.conflicts_of_interest.rules import Reason
from governance.deciders import review_rules
from governance.reviews.items import visibility
from governance.reviews.items.errors import ConflictOfInterest
from governance.reviews.reviewers.models import Assignment

from . import assignment, facts

MAY: Final = (Role.ANALYST, Role.SECURITY)
"""Who sees what waits for nobody, and has a say in reviews."""


class ItemTaken(DomainError):
    """Somebody else has the item already, or it waits for nobody any more."""

    code, status = "item_taken", HTTPStatus.CONFLICT


@transaction.atomic
def claim(item_id: UUID, *, by: Person, reason: str = "") -> Assignment:
    """Take an item that has no reviewer; of two who try, one has it and the other is refused.

    Raises NotFound, Forbidden, NotUnderWay, ItemTaken, ConflictOfInterest.
    """
    if not visibility.items_visible_to(by).filter(pk=item_id).exists():
        raise NotFound
    if not by.has_role(*MAY):
        raise Forbidden
    try:
        old = assignment.locked(item_id)
    except NotFound as error:  # somebody was quicker, and it was another row that waited
        raise ItemTaken from error
    if old.reviewer_id is not None:
        raise ItemTaken
    by.refresh_from_db(fields=["is_active"])
    people = dict(facts.people_around([item_id], old.stage))[item_id]
    if (why := _against(by, people, independence.accounts_of(by))) is not None:
        raise ConflictOfInterest(who=by.login, why=why.value)
    resolution = assignment.by_hand(by, review_rules.CLAIMED, people, by=by)
    return assignment.pass_to(old, by, resolution, by=by.principal, reason=reason, action=Action.REVIEW_CLAIMED)


def may_claim(waiting: Iterable[Assignment], person: Person) -> set[UUID]:
    """Return which of the items that have no reviewer somebody may take."""
    if not person.is_active or not person.has_role(*MAY):
        return set()
    of_stage: dict[int, list[UUID]] = {}
    for each in waiting:
        if each.reviewer_id is None and each.state == Assignment.State.ASSIGNED:
            of_stage.setdefault(each.stage, []).append(each.item_id)
    accounts = independence.accounts_of(person)
    return {
        item
        for stage, items in of_stage.items()
        for item, people in facts.people_around(items, stage)
        if _against(person, people, accounts) is None
    }


def _against(person: Person, people: ItemPeople, accounts: list[Person]) -> Reason | None:
    """Say why somebody may not take an item; None when nothing stands against it."""
    if any(each.login in people.abstained for each in accounts):
        return Reason.ABSTAINED
    return assignment.against(person, people, accounts)
