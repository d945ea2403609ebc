"""Access reviews over REST: staging a campaign, holding it, going on with it, cancelling it."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import preconditions
from entitlements.api.fields import Shown, Text
from entitlements.people.models import Person
from governance import tasks
from governance.deciders import review_rules
from governance.requests.api.requests import UnknownName
from governance.reviews.campaigns import pause
from governance.reviews.deadlines import nudge
from governance.reviews.decisions.api import MaybeWhy, Why
from governance.reviews.reviewers import handover
from governance.reviews.staging import launch

from .bodies import CampaignShown
from .campaigns import OfReviews


class Stage(OfReviews):
    """POST /campaigns/{slug}/stage."""

    @extend_schema(request=MaybeWhy, responses={202: CampaignShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Have the population taken and everything made ready to launch; anew where it is staged already.

        A worker does it; read the campaign until its state is `staged`.
        """
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        launch.stage(campaign.pk, by=self.reviewer(), reason=body["reason"])
        transaction.on_commit(partial(tasks.stage_campaign.delay, str(campaign.pk)), robust=True)
        return self.campaign_response(campaign, HTTPStatus.ACCEPTED)


class Pause(OfReviews):
    """POST /campaigns/{slug}/pause."""

    @extend_schema(request=Why, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Hold a campaign: nobody answers and no deadline is applied until it goes on."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        pause.pause(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class Remind(OfReviews):
    """POST /campaigns/{slug}/remind."""

    @extend_schema(request=MaybeWhy, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Remind everybody who has items left to answer; nobody is told more than once a day."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        nudge.remind(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class BulkReassignment(Why):
    """Whose open items (nobody's where `of` is empty) go to whom; with `count`, as many as were looked at, they go."""

    of = Text(max_length=64, allow_blank=True)
    to = Text(max_length=64)
    count = serializers.IntegerField(
        min_value=1, max_value=handover.MOST, required=False, allow_null=True, default=None
    )


class NotGivenShown(Shown):
    """An item that the other may not answer, and why."""

    item = serializers.UUIDField()
    why = serializers.ChoiceField(choices=[*review_rules.Bar])


class GivenShown(Shown):
    """Which items the other may answer, which not, and how many were given.

    Where fewer are named than are `waiting`, these are the first of them: give them, then look again.
    """

    waiting = serializers.IntegerField()
    fits = serializers.ListField(child=serializers.UUIDField())
    barred = NotGivenShown(many=True)
    given = serializers.IntegerField()


class ReassignAll(OfReviews):
    """POST /campaigns/{slug}/reassign."""

    @extend_schema(request=BulkReassignment, responses=GivenShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Say which open items of one reviewer another may answer; with their `count`, give them."""
        campaign, body = self.campaign(key), self.body(BulkReassignment)
        people = {name: Person.objects.filter(login=body[name]).first() for name in ("of", "to")}
        to = people["to"]
        if to is None or (people["of"] is None and body["of"]):
            wrong = "to" if to is None else "of"
            raise UnknownName(field=wrong, name=body[wrong])
        seen, given = handover.look(campaign, of=people["of"], to=to), 0
        if body["count"] is not None:
            asked = {"count": body["count"], "reason": body["reason"]}
            given = handover.give(campaign, of=people["of"], to=to, by=self.reviewer(), **asked)
        barred = [{"item": str(item), "why": why.value} for item, why in seen.barred.items()]
        fits = list(map(str, seen.fits))
        return Response({"waiting": seen.waiting, "fits": fits, "barred": barred, "given": given})


class Resume(OfReviews):
    """POST /campaigns/{slug}/resume."""

    @extend_schema(request=MaybeWhy, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Go on with a paused campaign, due as much later as it was paused."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        pause.resume(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class Cancel(OfReviews):
    """POST /campaigns/{slug}/cancel."""

    @extend_schema(request=Why, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """End a campaign that has not come to its closing; it stays listed, with the reason."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        pause.cancel(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)
