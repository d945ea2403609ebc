"""Review items over REST: the list, one item, a reviewer's draft, and another reviewer for it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.preconditions import PreconditionRequired
from entitlements.api.resources import Listing, tagged
from entitlements.errors import Stale
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import actions as decision_actions
from governance.reviews.items import answer as answer_actions
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

from .bodies import DraftInputSerializer, DraftSerializer, ItemReassignment, ItemSerializer
from .campaigns import ItemAction, ReviewResource, person_named


class ItemFilter(filters.FilterSet):
    """Filters of items."""

    campaign = filters.CharFilter(method="of_campaign")
    state = filters.ChoiceFilter(choices=ReviewItem.State.choices)
    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="system__slug")
    reviewer = filters.CharFilter(method="of_reviewer")
    waiting_for = filters.CharFilter(method="of_waiting")

    class Meta:
        model = ReviewItem
        fields: ClassVar[list[str]] = []

    def of_campaign(self, rows: QuerySet[ReviewItem], _name: str, slug: str) -> QuerySet[ReviewItem]:
        """Keep the items of one campaign, selected by its key so that its index is used."""
        return rows.filter(campaign=Campaign.objects.filter(slug=slug).values_list("pk", flat=True).first())

    def of_reviewer(self, rows: QuerySet[ReviewItem], _name: str, login: str) -> QuerySet[ReviewItem]:
        """Keep the items that this person reviews."""
        return rows.filter(assignments__reviewer__login=login, assignments__replaced_by=None)

    def of_waiting(self, rows: QuerySet[ReviewItem], _name: str, login: str) -> QuerySet[ReviewItem]:
        """Keep the items that wait for the decision of this person."""
        return rows.filter(
            state=ReviewItem.State.IN_REVIEW,
            assignments__reviewer__login=login,
            assignments__replaced_by=None,
            assignments__state=Assignment.State.ASSIGNED,
        )


class Items(ReviewResource, Listing):
    """List review items. The highest risk level of each campaign comes first."""

    serializer_class = ItemSerializer
    filterset_class = ItemFilter
    ordering = ("campaign_id", "number")

    def rows(self) -> QuerySet[ReviewItem]:
        """Return the visible items."""
        return self.items()

    @extend_schema(responses=ItemSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List items, the highest risk of each campaign first."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(ItemSerializer(page, many=True, context={"person": self.caller.human}).data)


class ItemDetail(ReviewResource):
    """Show a review item. With the facts that a reviewer decides on, and the usage of its access."""

    @extend_schema(responses=ItemSerializer)
    def get(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Show one item."""
        return self.item_response(self.item(key))


class ItemDraft(ItemAction):
    """Save the draft of your decision of a review item.

    `If-Match` names the revision that you read, `"0"` where there is none yet. A draft decides nothing, and only you
    see it.
    """

    action = decision_actions.SAVE_DRAFT
    asked = DraftInputSerializer
    shown = DraftSerializer

    def read(self) -> dict[str, Any]:
        """Read a draft answer; it is no decision before it is submitted."""
        body = super().read()
        if_match = self.request.headers.get("If-Match")
        if if_match is None:
            raise PreconditionRequired
        digits = if_match.strip().removeprefix('"').removesuffix('"')
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):  # noqa: PLR2004 - a revision
            raise Stale
        return {"answer": answer_actions.Answer(**{**body, "kept": tuple(body["kept"])}), "rev": int(digits)}

    def answer(self, performed: Performed) -> Response:
        """Answer with the draft, and its revision."""
        return tagged(DraftSerializer(performed.result).data, performed.result.rev)


class Reassign(ItemAction):
    """Reassign a review item to another reviewer."""

    action = actions.REASSIGN
    asked = ItemReassignment

    def read(self) -> dict[str, Any]:
        """Read to whom, by login."""
        body = super().read()
        return {**body, "to": person_named("to", body["to"])}
