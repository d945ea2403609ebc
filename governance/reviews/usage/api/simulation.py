"""Simulations of a change on recorded calls, over REST."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.requests.api.bodies import Limits, Names
from governance.reviews.campaigns.api.options import CampaignSettingsInputSerializer, Scope, options_of
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import errors as item_errors
from governance.reviews.staging import preview
from governance.reviews.usage import replay


class ReductionInputSerializer(InputSerializer):
    """A reduction of one grant: tools to remove, and new limits by tool."""

    grant = serializers.UUIDField()
    drop = Names(required=False, default=list)
    limits = Limits(required=False, default=dict)


class ReductionSerializer(OutputSerializer):
    """The effect that the reduction would have had.

    `undecided` calls went to a tool whose limits change, and the log cannot show the result. Numbers are null
    where calls bypass our gateway.
    """

    since = serializers.DateTimeField()
    visible = serializers.BooleanField()
    full_window = serializers.BooleanField()
    calls = serializers.IntegerField(allow_null=True)
    would_be_denied = serializers.IntegerField(allow_null=True)
    undecided = serializers.IntegerField(allow_null=True)
    still_covered = serializers.ListField(child=serializers.CharField())
    denied_by_tool = serializers.DictField(child=serializers.IntegerField())


class Reduction(Endpoint):
    """Simulate a reduction of access.

    How many calls of the last ninety days it would have denied. Nothing is changed.
    """

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(request=ReductionInputSerializer, responses=ReductionSerializer)
    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Return how many calls of the last ninety days the reduction would have denied. Nothing is changed."""
        body = self.body(ReductionInputSerializer)
        grant = self.find(visibility.grants(self.caller), pk=body["grant"])
        return Response(ReductionSerializer(replay.of_grant(grant, body["drop"], body["limits"]).as_json()).data)


class PreviewInputSerializer(CampaignSettingsInputSerializer):
    """The draft of a campaign."""

    scope = Scope(required=False, default=dict)
    kind = serializers.ChoiceField(choices=Campaign.Kind.choices, required=False, default=Campaign.Kind.AGENT_OWNER)


class LoadSerializer(OutputSerializer):
    """The number of items for one reviewer; an empty login stands for unassigned items."""

    login = serializers.CharField()
    items = serializers.IntegerField()
    minutes = serializers.IntegerField()
    level = serializers.ChoiceField(choices=["fine", "many", "too_many"])


class PreviewSerializer(OutputSerializer):
    """The campaign as it would be. Where `staged` is false the population is too large to stage, and only counted."""

    grants = serializers.IntegerField()
    staged = serializers.BooleanField()
    items = serializers.IntegerField()
    excluded = serializers.IntegerField()
    carried_forward = serializers.IntegerField(source="carried")
    new = serializers.IntegerField()
    gone = serializers.IntegerField()
    compared_with = serializers.CharField(source="last")
    unresolved = serializers.IntegerField()
    readable_percent = serializers.IntegerField(source="readable")
    grants_suspended_without_answer = serializers.IntegerField(source="silent_grants")
    calls_a_day_of_those = serializers.IntegerField(source="silent_calls")
    risks = serializers.DictField(child=serializers.IntegerField())
    systems = serializers.DictField(child=serializers.IntegerField())
    suggestions = serializers.DictField(child=serializers.IntegerField(), source="verdicts")
    reviewers = LoadSerializer(many=True, source="loads")


class CampaignPreview(Endpoint):
    """Preview a campaign. The items and reviewers that it would have if it began now. Nothing is stored."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(request=PreviewInputSerializer, responses=PreviewSerializer)
    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Return the items and reviewers that a campaign would have if it began now. Nothing is stored."""
        body, human = self.body(PreviewInputSerializer), self.caller.human
        if human is None:
            raise item_errors.MayNotReview
        return Response(PreviewSerializer(preview.preview(body["scope"], options_of(body), by=human)).data)
