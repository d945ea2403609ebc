"""Campaign templates over REST, and duplicating a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, EditEndpoint, Listing, tagged
from governance.reviews.campaigns.api.bodies import CampaignSerializer
from governance.reviews.campaigns.api.campaigns import CampaignAction, ReviewResource
from governance.reviews.campaigns.api.options import CampaignSettingsInputSerializer, Scope, Strategies, options_of
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules
from governance.reviews.population import campaigns
from governance.reviews.spot_checks import plan
from governance.reviews.templates import actions, templates
from governance.reviews.templates.models import CampaignTemplate


class TemplateInputSerializer(CampaignSettingsInputSerializer):
    """A new template; `first_on` is the day of the first campaign.

    Another person checks `spot_share` per cent of the answers of each campaign within `spot_days`; 0 for none.
    """

    slug = Slug()
    name = Text(max_length=180)
    scope = Scope(required=False, default=dict)
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices, required=False, default=Campaign.Kind.AGENT_OWNER)
    cadence = serializers.ChoiceField(choices=CampaignTemplate.Cadence.choices, required=False, default="none")
    first_on = serializers.DateField(required=False, allow_null=True, default=None)
    days = serializers.IntegerField(min_value=1, max_value=templates.LONGEST, required=False, default=30)
    spot_share = serializers.IntegerField(min_value=0, max_value=100, required=False, default=0)
    spot_days = serializers.IntegerField(min_value=1, max_value=plan.LONGEST, required=False, default=plan.DAYS)
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class TemplateChangesInputSerializer(InputSerializer):
    """Changes of a template; fields that are left out stay. `next_on` is the day of the next campaign."""

    name = Text(max_length=180, required=False)
    scope = Scope(required=False)
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices, required=False)
    mode = serializers.ChoiceField(choices=Campaign.Mode.choices, required=False)
    framework = serializers.ChoiceField(choices=Campaign.Framework.choices, required=False)
    carry_days = serializers.IntegerField(min_value=0, max_value=366, required=False)
    strategies = Strategies(required=False)
    fallback_group = Text(max_length=64, required=False, allow_blank=True)
    asks_owner = serializers.BooleanField(required=False)
    cadence = serializers.ChoiceField(choices=CampaignTemplate.Cadence.choices, required=False)
    next_on = serializers.DateField(required=False, allow_null=True)
    days = serializers.IntegerField(min_value=1, max_value=templates.LONGEST, required=False)
    spot_share = serializers.IntegerField(min_value=0, max_value=100, required=False)
    spot_days = serializers.IntegerField(min_value=1, max_value=plan.LONGEST, required=False)
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class TemplateSerializer(OutputSerializer):
    """A template; `refused` is the error code for which it makes no campaign until a person starts it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    owner = serializers.CharField(source="owner.login")
    scope = serializers.JSONField()
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices)
    mode = serializers.ChoiceField(choices=Campaign.Mode.choices)
    framework = serializers.ChoiceField(choices=Campaign.Framework.choices)
    carry_days = serializers.IntegerField()
    strategies = serializers.SerializerMethodField()
    fallback_group = serializers.CharField(source="fallback_group.slug", default="")
    asks_owner = serializers.BooleanField()
    cadence = serializers.ChoiceField(choices=CampaignTemplate.Cadence.choices)
    next_on = serializers.DateField(allow_null=True)
    days = serializers.IntegerField()
    spot_share = serializers.IntegerField()
    spot_days = serializers.IntegerField()
    refused = serializers.CharField()
    stopped_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(Strategies)
    def get_strategies(self, held: CampaignTemplate) -> dict[str, str]:
        """Return by risk level how many people answer and how their answers combine."""
        return review_rules.strategies(held.strategies)


class DuplicateInputSerializer(InputSerializer):
    """The name and due date of the new campaign."""

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


class Templates(ReviewResource, Listing, CreateEndpoint):
    """List and save templates.

    get: List campaign templates.
    post: Save a campaign template.
    """

    action = actions.SAVE
    shows_result = True
    asked = TemplateInputSerializer
    shown = serializer_class = TemplateSerializer
    filterset_class = TemplateFilter
    ordering = ("slug",)

    def rows(self) -> QuerySet[CampaignTemplate]:
        """Return all templates."""
        return CampaignTemplate.objects.select_related("owner", "fallback_group")

    @extend_schema(responses=TemplateSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List templates by their short names."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(TemplateSerializer(page, many=True).data)

    def read(self) -> dict[str, Any]:
        """Read a template; a recurring one begins a campaign each period from its first day on."""
        body = super().read()
        values = {name: body[name] for name in ("slug", "name", "scope", "reason")}
        return {**values, "options": options_of(body), "recurrence": _recurrence(body, "first_on")}


class TemplateDetail(ReviewResource, EditEndpoint):
    """Show and edit a template.

    get: Show a campaign template.
    patch: Edit a campaign template.
    """

    action = actions.EDIT
    asked = TemplateChangesInputSerializer
    shown = TemplateSerializer

    @extend_schema(responses=TemplateSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Show one template."""
        self.about = [f"template:{key}"]
        template: CampaignTemplate = self.find_row()
        return tagged(TemplateSerializer(template).data, template.version)

    def read(self) -> dict[str, Any]:
        """Read the changes; the caller becomes its owner."""
        template, changes = self.find_row(), super().read()
        values: dict[str, Any] = {name: getattr(template, name) for name in _EDITED} | asdict(
            campaigns.CampaignOptions.of(template)
        )
        values |= {name: value for name, value in changes.items() if name in values}
        named = {"name": values["name"], "scope": values["scope"], "reason": changes["reason"]}
        return {**named, "options": options_of(values), "recurrence": _recurrence(values, "next_on")}

    def answer(self, performed: Performed) -> Response:
        """Answer with the template, and its version."""
        changed = performed.result
        return tagged(TemplateSerializer(changed).data, changed.version)


_EDITED: Final = ("name", "scope", "cadence", "next_on", "days", "spot_share", "spot_days")


def _recurrence(values: Mapping[str, Any], begins: str) -> templates.Recurrence:
    checked = values["spot_share"], values["spot_days"]
    return templates.Recurrence(values["cadence"], values[begins], values["days"], *checked)


class _TemplateAction(ReviewResource, ActionEndpoint):
    is_versioned = False


class StartTemplate(_TemplateAction):
    """Start a campaign template. It drafts a campaign at each turn of its cadence."""

    action = actions.START
    shown = CampaignSerializer
    answers = HTTPStatus.CREATED

    def answer(self, performed: Performed) -> Response:
        """Answer with the campaign, due after the template's number of days."""
        return self.campaign_response(performed.result, HTTPStatus.CREATED)


class StopTemplate(_TemplateAction):
    """Stop a campaign template. It drafts no more campaigns."""

    action = actions.STOP
    shows_result = True
    shown = TemplateSerializer


class Duplicate(CampaignAction):
    """Draft a campaign like another. With its scope and options."""

    action = actions.DUPLICATE
    asked = DuplicateInputSerializer
    answers = HTTPStatus.CREATED

    def answer(self, performed: Performed) -> Response:
        """Answer with a campaign that has the scope and options of this one."""
        return self.campaign_response(performed.result, HTTPStatus.CREATED)
