"""The life of a campaign over REST: staging, pausing, reminding, reassigning, resuming, cancelling."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import preconditions
from entitlements.api.fields import OutputSerializer, Text
from entitlements.people.models import Person
from governance import tasks
from governance.conflicts_of_interest.rules import OF_REVIEWS
from governance.requests.api.requests import UnknownName
from governance.reviews.campaigns import pause
from governance.reviews.deadlines import nudge
from governance.reviews.decisions.api import MaybeWhy, Why
from governance.reviews.reviewers import handover
from governance.reviews.staging import launch

from .bodies import CampaignSerializer
from .campaigns import ReviewResource


class Stage(ReviewResource):
    """POST /campaigns/{slug}/stage."""

    @extend_schema(request=MaybeWhy, responses={202: CampaignSerializer})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Stage a campaign, or stage it again: take its population and prepare its items.

        A worker does it; poll the campaign until its state is `staged`.
        """
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        launch.stage(campaign.pk, by=self.reviewer(), reason=body["reason"])
        transaction.on_commit(partial(tasks.stage_campaign.delay, str(campaign.pk)), robust=True)
        return self.campaign_response(campaign, HTTPStatus.ACCEPTED)


class Pause(ReviewResource):
    """POST /campaigns/{slug}/pause."""

    @extend_schema(request=Why, responses=CampaignSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Pause a campaign: reviewers cannot answer and no deadline applies until it is resumed."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        pause.pause(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class Remind(ReviewResource):
    """POST /campaigns/{slug}/remind."""

    @extend_schema(request=MaybeWhy, responses=CampaignSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Remind each reviewer who has open items, at most once a day."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        nudge.remind(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class BulkReassignment(Why):
    """Move the open items of reviewer `of` (empty: the unassigned ones) to reviewer `to`.

    Without `count` nothing moves: the answer says which items would. `count` is how many items that answer named.
    """

    of = Text(max_length=64, allow_blank=True)
    to = Text(max_length=64)
    count = serializers.IntegerField(
        min_value=1, max_value=handover.MOST, required=False, allow_null=True, default=None
    )


class NotGivenSerializer(OutputSerializer):
    """An item that the new reviewer may not answer, and why."""

    item = serializers.UUIDField()
    why = serializers.ChoiceField(choices=OF_REVIEWS)


class ReassignmentSerializer(OutputSerializer):
    """Which items the new reviewer may answer, which not, and how many were reassigned.

    Where fewer items are named than are `waiting`, they are the first ones: reassign them, then ask again.
    """

    waiting = serializers.IntegerField()
    fits = serializers.ListField(child=serializers.UUIDField())
    barred = NotGivenSerializer(many=True)
    given = serializers.IntegerField()


class ReassignAll(ReviewResource):
    """POST /campaigns/{slug}/reassign."""

    @extend_schema(request=BulkReassignment, responses=ReassignmentSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """List which open items of one reviewer another may answer; with their `count`, reassign them."""
        campaign, body = self.campaign(key), self.body(BulkReassignment)
        people = {name: Person.objects.filter(login=body[name]).first() for name in ("of", "to")}
        to = people["to"]
        if to is None or (people["of"] is None and body["of"]):
            wrong = "to" if to is None else "of"
            raise UnknownName(field=wrong, name=body[wrong])
        seen, count_given = handover.look(campaign, of=people["of"], to=to), 0
        if body["count"] is not None:
            details = {"count": body["count"], "reason": body["reason"]}
            count_given = handover.give(campaign, of=people["of"], to=to, by=self.reviewer(), **details)
        barred = [{"item": str(item), "why": why.value} for item, why in seen.barred.items()]
        fits = list(map(str, seen.fits))
        return Response({"waiting": seen.waiting, "fits": fits, "barred": barred, "given": count_given})


class Resume(ReviewResource):
    """POST /campaigns/{slug}/resume."""

    @extend_schema(request=MaybeWhy, responses=CampaignSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Resume a paused campaign; its due date moves by as long as it was paused."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        pause.resume(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class Cancel(ReviewResource):
    """POST /campaigns/{slug}/cancel."""

    @extend_schema(request=Why, responses=CampaignSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Cancel a campaign that is not closing yet; it stays listed, with the reason."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        pause.cancel(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)
