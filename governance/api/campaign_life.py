"""Access reviews over REST: staging a campaign, holding it, going on with it, cancelling it."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import preconditions
from governance import reviews, tasks

from .campaign_bodies import CampaignShown
from .campaign_verbs import MaybeWhy, Why
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
        reviews.stage(campaign.pk, by=self.reviewer(), reason=body["reason"])
        transaction.on_commit(partial(tasks.stage_campaign.delay, str(campaign.pk)), robust=True)
        return self.told_campaign(campaign, HTTPStatus.ACCEPTED)


class Pause(OfReviews):
    """POST /campaigns/{slug}/pause."""

    @extend_schema(request=Why, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Hold a campaign: nobody answers and no deadline is applied until it goes on."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        reviews.pause(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.told_campaign(campaign)


class Remind(OfReviews):
    """POST /campaigns/{slug}/remind."""

    @extend_schema(request=MaybeWhy, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Remind everybody who has items left to answer; nobody is told more than once a day."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        reviews.remind(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.told_campaign(campaign)


class Resume(OfReviews):
    """POST /campaigns/{slug}/resume."""

    @extend_schema(request=MaybeWhy, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Go on with a paused campaign, due as much later as it was paused."""
        campaign, body = self.campaign(key), self.body(MaybeWhy)
        preconditions.respect(self.request, campaign.version)
        reviews.resume(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.told_campaign(campaign)


class Cancel(OfReviews):
    """POST /campaigns/{slug}/cancel."""

    @extend_schema(request=Why, responses=CampaignShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """End a campaign that has not come to its closing; it stays listed, with the reason."""
        campaign, body = self.campaign(key), self.body(Why)
        preconditions.respect(self.request, campaign.version)
        reviews.cancel(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.told_campaign(campaign)
