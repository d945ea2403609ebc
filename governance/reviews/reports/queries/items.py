"""The items of a review as its owner lists them: with reviewer, decision and remediation."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy

from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.items.review_rules import Verb
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment

STATES: Final[dict[str, Any]] = {
    ReviewItem.State.IN_REVIEW: gettext_lazy("To decide"),
    ReviewItem.State.DECIDED: gettext_lazy("Decided"),
    ReviewItem.State.NO_RESPONSE: gettext_lazy("No decision"),
    ReviewItem.State.SUPERSEDED: gettext_lazy("Ended meanwhile"),
    ReviewItem.State.EXCLUDED: gettext_lazy("Excluded"),
    ReviewItem.State.CARRIED_FORWARD: gettext_lazy("Carried forward"),
}
RISKS: Final[dict[str, Any]] = {
    Risk.CRITICAL: gettext_lazy("Critical"),
    Risk.HIGH: gettext_lazy("High"),
    Risk.MEDIUM: gettext_lazy("Medium"),
    Risk.LOW: gettext_lazy("Low"),
}
DECISIONS: Final[dict[str, Any]] = {
    Verb.CERTIFY: gettext_lazy("Keep"),
    Verb.REDUCE: gettext_lazy("Keep some"),
    Verb.REVOKE: gettext_lazy("Revoke"),
}
REMEDIATION: Final[dict[str, Any]] = {
    Remediation.State.QUEUED: gettext_lazy("Queued"),
    Remediation.State.APPLIED: gettext_lazy("Applied"),
    Remediation.State.VERIFIED: gettext_lazy("Verified"),
    Remediation.State.FAILED: gettext_lazy("Failed"),
    Remediation.State.EXCEPTED: gettext_lazy("Exception"),
    Remediation.State.WITHDRAWN: gettext_lazy("Withdrawn"),
}


def listed(campaign: Campaign, person: Person) -> QuerySet[ReviewItem]:
    """Return the items of a campaign that a person sees, each with who reviews or decided it, and its remediation."""
    live = Assignment.objects.filter(item=OuterRef("pk"), state=Assignment.State.ASSIGNED).order_by("stage")
    return (
        visibility.items_visible_to(person)
        .filter(campaign=campaign)
        .annotate(
            asked=Subquery(live.values("reviewer__login")[:1]),
            reviewer_name=Coalesce(
                Subquery(live.values("reviewer__name")[:1]), F("current_decision__decided_by__name")
            ),
            decision=F("current_decision__verb"),
            decided_at=F("current_decision__decided_at"),
            remediation_state=F("current_decision__remediation__state"),
        )
    )


def of_reviewer(rows: QuerySet[ReviewItem], login: str) -> QuerySet[ReviewItem]:
    """Return those of some items that a person reviews now or decided."""
    reviewed = Assignment.objects.filter(
        reviewer__login=login, state__in=[Assignment.State.ASSIGNED, Assignment.State.SUBMITTED]
    )
    return rows.filter(pk__in=reviewed.values("item"))


def reviewers(campaign_slug: str) -> list[tuple[str, str]]:
    """Return login and name of the people who review items of a campaign now or decided some."""
    rows = Person.objects.filter(
        pk__in=Assignment.objects.filter(
            item__campaign__slug=campaign_slug, state__in=[Assignment.State.ASSIGNED, Assignment.State.SUBMITTED]
        ).values("reviewer")
    )
    return list(rows.order_by("name", "login").values_list("login", "name"))
