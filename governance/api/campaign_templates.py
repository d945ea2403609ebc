"""Campaigns that are made again, over REST: templates, and a campaign with the criteria of another."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Listing
from entitlements.api.fields import Shown, Slug, Strict, Text
from governance import reviews
from governance.models import Campaign, CampaignTemplate
from governance.reviews import recurring

from .campaign_bodies import CampaignShown, Scope
from .campaign_verbs import MaybeWhy
from .campaigns import OfReviews


class TemplateAsked(Strict):
    """The criteria to keep, and how often they recur; `first_on` is the day of the first campaign."""

    slug = Slug()
    name = Text(max_length=180)
    scope = Scope(required=False, default=dict)
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices, required=False, default=Campaign.Kind.AGENT_OWNER)
    mode = serializers.ChoiceField(choices=Campaign.Mode.choices, required=False, default=Campaign.Mode.FULL)
    framework = serializers.ChoiceField(
        choices=Campaign.Framework.choices, required=False, default=Campaign.Framework.NONE
    )
    carry_days = serializers.IntegerField(min_value=0, max_value=366, required=False, default=0)
    cadence = serializers.ChoiceField(choices=CampaignTemplate.Cadence.choices, required=False, default="none")
    first_on = serializers.DateField(required=False, allow_null=True, default=None)
    days = serializers.IntegerField(min_value=1, max_value=recurring.LONGEST, required=False, default=30)
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class TemplateShown(Shown):
    """A template; `refused` is the code for which it makes nothing until somebody starts it by hand."""

    slug = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField(source="owner.login")
    scope = serializers.JSONField()
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices)
    mode = serializers.ChoiceField(choices=Campaign.Mode.choices)
    framework = serializers.ChoiceField(choices=Campaign.Framework.choices)
    carry_days = serializers.IntegerField()
    cadence = serializers.ChoiceField(choices=CampaignTemplate.Cadence.choices)
    next_on = serializers.DateField(allow_null=True)
    days = serializers.IntegerField()
    refused = serializers.CharField()
    stopped_at = serializers.DateTimeField(allow_null=True)


class DuplicateAsked(Strict):
    """The name of the campaign that is made, and when it is due."""

    slug = Slug()
    name = Text(max_length=200)
    due_at = serializers.DateTimeField()
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class TemplateFilter(filters.FilterSet):
    """Filters of templates."""

    cadence = filters.ChoiceFilter(choices=CampaignTemplate.Cadence.choices)

    class Meta:
        model = CampaignTemplate
        fields: ClassVar[list[str]] = []


class Templates(OfReviews, Listing):
    """GET and POST /campaign-templates."""

    serializer_class = TemplateShown
    filterset_class = TemplateFilter
    ordering = ("slug",)

    def rows(self) -> QuerySet[CampaignTemplate]:
        """Return all of them."""
        return CampaignTemplate.objects.select_related("owner")

    @extend_schema(responses=TemplateShown(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List templates by their short names."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(TemplateShown(page, many=True).data)

    @extend_schema(request=TemplateAsked, responses={201: TemplateShown})
    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Keep the criteria of a campaign; one that recurs is made, staged and launched by itself from its day on."""
        body = self.body(TemplateAsked)
        saved = recurring.save(
            body["slug"],
            name=body["name"],
            scope=body["scope"],
            manner=reviews.Manner(body["kind"], body["mode"], body["framework"], body["carry_days"]),
            rhythm=recurring.Rhythm(body["cadence"], body["first_on"], body["days"]),
            by=self.reviewer(),
            reason=body["reason"],
        )
        return Response(TemplateShown(saved).data, status=HTTPStatus.CREATED)


class OneTemplate(OfReviews):
    """GET /campaign-templates/{slug}."""

    @extend_schema(responses=TemplateShown)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Show one template."""
        return Response(TemplateShown(self.find(CampaignTemplate.objects.select_related("owner"), slug=key)).data)


class StartTemplate(OfReviews):
    """POST /campaign-templates/{slug}/start."""

    @extend_schema(request=MaybeWhy, responses={201: CampaignShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Draft a campaign from a template, due after its days."""
        self.about = [f"template:{key}"]
        made = recurring.start(key, by=self.reviewer(), reason=self.body(MaybeWhy)["reason"])
        return self.told_campaign(made, HTTPStatus.CREATED)


class StopTemplate(OfReviews):
    """POST /campaign-templates/{slug}/stop."""

    @extend_schema(request=MaybeWhy, responses=TemplateShown)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Let a template make nothing any more."""
        self.about = [f"template:{key}"]
        stopped = recurring.stop(key, by=self.reviewer(), reason=self.body(MaybeWhy)["reason"])
        return Response(TemplateShown(stopped).data)


class Duplicate(OfReviews):
    """POST /campaigns/{slug}/duplicate."""

    @extend_schema(request=DuplicateAsked, responses={201: CampaignShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Draft a campaign with the criteria of this one, read anew when it is staged."""
        campaign, body = self.campaign(key), self.body(DuplicateAsked)
        made = recurring.duplicate(
            campaign, body["slug"], name=body["name"], due_at=body["due_at"], by=self.reviewer(), reason=body["reason"]
        )
        return self.told_campaign(made, HTTPStatus.CREATED)
