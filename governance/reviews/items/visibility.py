"""Who sees which campaigns and items.

Analysts, auditors and security see all, or the items within their limits and the campaigns of these; a reviewer sees
their own; an external auditor sees what is shared with them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from audit import clock
from entitlements.access import role_reach
from entitlements.people.models import Person
from entitlements.people.role_limits import EVERYTHING, NOTHING, RoleLimit
from governance.out_of_office import delegations
from governance.requests import requests
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence.models import EvidenceShare
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment


def answerable_by(person: Person) -> Q:
    """Select the assignments that a person may answer: their own, and those of people whose delegate they are.

    The reviewers are listed by key, so that the index is used: with a subquery, PostgreSQL reads every assignment.
    """
    return Q(reviewer__in=[person.pk, *delegations.delegators_of(person).values_list("pk", flat=True)])


def campaigns_visible_to(person: Person | None) -> QuerySet[Campaign]:
    """Return the campaigns that a person may see; None is a script whose scope lets it read."""
    rows = Campaign.objects.select_related("owner", "fallback_group")
    sight = _sight(person)
    if person is None or sight.everything:
        return rows
    assigned = _assigned_to(person).values("item__campaign")
    return (
        rows.filter(
            Q(owner=person) | Q(pk__in=assigned) | Q(pk__in=_shared(person)) | role_reach.within(sight, Campaign)
        )
        if person.is_active
        else rows.none()
    )


def items_visible_to(person: Person | None) -> QuerySet[ReviewItem]:
    """Return the items that a person may see: those they review, those of their campaigns, or all."""
    rows = ReviewItem.objects.select_related(
        "agent__sponsor", "system", "holder", "campaign", "current_decision__decided_by"
    )
    sight = _sight(person)
    if person is None or sight.everything:
        return rows
    if not person.is_active:
        return rows.none()
    mine = _assigned_to(person).exclude(state=Assignment.State.REASSIGNED).values("item")
    if sight != NOTHING:
        mine = mine.union(ReviewItem.objects.filter(role_reach.within(sight, ReviewItem)).values("pk"))
    whole = Campaign.objects.filter(Q(owner=person) | Q(pk__in=_shared(person)))
    if not whole.exists():
        return rows.filter(pk__in=mine)  # with an OR, PostgreSQL would read every item
    return rows.filter(Q(campaign__in=whole) | Q(pk__in=mine))


def of_limit(limit: RoleLimit) -> Q:
    """Select the campaigns that have an item within a limit."""
    return Q(Exists(ReviewItem.objects.filter(role_reach.within(limit, ReviewItem), campaign=OuterRef("pk"))))


def of_limit_by_item(limit: RoleLimit) -> Q:
    """Select the remediations of items within a limit."""
    return Q(decision__item__in=ReviewItem.objects.filter(role_reach.within(limit, ReviewItem)).order_by().values("pk"))


def _sight(person: Person | None) -> RoleLimit:
    return EVERYTHING if person is None else person.reach(*requests.SEE_EVERYTHING)


def shared_with(person: Person, campaign: Campaign) -> bool:
    """Whether the evidence of a campaign is shared with a person now."""
    return person.is_active and _shared(person).filter(campaign=campaign).exists()


def _shared(person: Person) -> QuerySet[EvidenceShare, Any]:
    live = EvidenceShare.objects.filter(auditor=person, ended_at=None, expires_at__gt=clock.now())
    return live.values("campaign")


def _assigned_to(person: Person) -> QuerySet[Assignment]:
    """Return the present and past assignments of a person in campaigns that have begun."""
    return Assignment.objects.filter(answerable_by(person)).exclude(item__campaign__state__in=Campaign.BEFORE)


def waiting_for(person: Person) -> QuerySet[Assignment]:
    """Return the open assignments of a person in active campaigns."""
    return Assignment.objects.filter(
        answerable_by(person),
        state=Assignment.State.ASSIGNED,
        item__state=ReviewItem.State.IN_REVIEW,
        item__campaign__state=Campaign.State.ACTIVE,
    )
