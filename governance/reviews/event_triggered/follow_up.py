"""Following up a spot check that would take more away: the owner of the review asks again, or leaves it with a reason.

The review is closed by then, and its answers stay. To ask again begins an event-triggered review of what is still in
force, with what the check found; access changes only by its answer.
"""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.reviews.deadlines import undecided
from governance.reviews.items import item_links
from governance.reviews.items.errors import NotTheOwner
from governance.reviews.items.models import ReviewItem
from governance.reviews.spot_checks.models import SpotCheck

from . import causes
from .causes import Kind


class NothingToFollowUp(DomainError):
    """There is nothing to follow up: the check agrees, was followed up already, or none of the access is in force."""

    code, status = "nothing_to_follow_up", HTTPStatus.CONFLICT


@transaction.atomic
def follow_up(check_id: UUID, *, by: Person, how: str, reason: str) -> SpotCheck:
    """Follow a spot check up, once, as the owner of its review: `asked_again` or `left`.

    Raises NotFound, ReasonRequired, NotTheOwner, NothingToFollowUp.
    """
    rows = SpotCheck.objects.select_for_update(of=("self",)).select_related(
        "item__campaign__owner", "item__agent", "item__system", "item__holder", "item__current_decision"
    )
    if (check := rows.filter(pk=check_id).first()) is None:
        raise NotFound
    if check.item.campaign.owner_id != by.pk:
        raise NotTheOwner
    if not reason.strip():
        raise ReasonRequired
    if how not in SpotCheck.Followed.values or not SpotCheck.to_follow_up().filter(pk=check.pk).exists():
        raise NothingToFollowUp
    if how == SpotCheck.Followed.ASKED_AGAIN:
        _ask_again(check)
    check.followed, check.followed_because = how, reason.strip()[:500]
    check.followed_by, check.followed_at = by, clock.now()
    check.save(update_fields=["followed", "followed_because", "followed_by", "followed_at"])
    log.record(
        Action.SPOT_CHECK_FOLLOWED_UP,
        about=[*item_links.about(check.item), f"spot_check:{check.pk}"],
        by=by.principal,
        reason=check.followed_because,
        detail={"how": how, "verb": check.verb},
    )
    return check


def _ask_again(check: SpotCheck) -> None:
    """Note a cause to review what is left of the access. Raises NothingToFollowUp where nothing is left."""
    if not may_ask_again(check.item) or check.item.agent is None:
        raise NothingToFollowUp
    live = check.item.population.filter(grant__ended_at=None).values_list("grant", flat=True)
    fact = {"check": str(check.pk), "review": check.item.campaign.name, "verb": check.verb, "reason": check.comment}
    causes.note(Kind.SPOT_CHECK, check.item.agent, fact, grants=live)


def may_ask_again(item: ReviewItem) -> bool:
    """Whether an event-triggered review can ask about an item: it is access, and some of it is in force."""
    return item.subject_kind == ReviewItem.Subject.ACCESS and undecided.is_left(item)
