"""The measures of a review, and its comparison with an earlier one, over REST."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import OutputSerializer
from entitlements.errors import NotFound
from governance.reviews.campaigns.api.campaigns import ReviewResource
from governance.reviews.quality import comparison, measures


class DifferenceSerializer(OutputSerializer):
    """One item that only one review has, or that was decided differently; a missing outcome is empty."""

    name = serializers.CharField()
    system = serializers.CharField(source="at")
    risk = serializers.CharField()
    then = serializers.CharField()
    now = serializers.CharField()
    item = serializers.UUIDField(allow_null=True)
    earlier_item = serializers.UUIDField(source="earlier", allow_null=True)


class CampaignComparisonSerializer(OutputSerializer):
    """Two reviews compared; the first hundred items of each kind of difference are named."""

    campaign = serializers.CharField(source="now.slug")
    compared_with = serializers.CharField(source="then.slug")
    counts = serializers.DictField(child=serializers.IntegerField())
    outcomes = serializers.SerializerMethodField()
    coverage_percent_then = serializers.IntegerField(source="coverage.0", allow_null=True)
    coverage_percent_now = serializers.IntegerField(source="coverage.1", allow_null=True)
    added = DifferenceSerializer(many=True, source="differences.added")
    removed = DifferenceSerializer(many=True, source="differences.removed")
    changed = DifferenceSerializer(many=True, source="differences.changed")

    def get_outcomes(self, contrast: comparison.Comparison) -> dict[str, dict[str, int]]:
        """Return the items of each outcome, then and now."""
        return {name: {"then": then, "now": now} for name, then, now in contrast.outcomes}


class MeasuresSerializer(OutputSerializer):
    """How a review went; `as_of` is when a worker counted it, null where it was counted just now."""

    counts = serializers.DictField(child=serializers.IntegerField(allow_null=True))
    in_time_percent = serializers.IntegerField(allow_null=True)
    used_percent = serializers.IntegerField(allow_null=True)
    used_left_percent = serializers.IntegerField(allow_null=True)
    as_of = serializers.DateTimeField(allow_null=True)


class Measured(ReviewResource):
    """Show the measures of a campaign.

    Items decided in time, reassigned, verified and after how many seconds, granted again, suspended, used.
    """

    @extend_schema(responses=MeasuresSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Return how a review went: in time, reassigned, verified in how many seconds, granted again, stopped, used."""
        known = measures.known(self.evidence_of(key, "measures"))
        if known is None:
            raise NotFound
        counted = known.measures
        shares = {name: getattr(counted, name) for name in ("in_time_percent", "used_percent", "used_left_percent")}
        return Response(MeasuresSerializer({"counts": asdict(counted), "as_of": known.as_of, **shares}).data)


class Comparison(ReviewResource):
    """Compare a campaign with an earlier one.

    Items added and removed, decisions that differ, and the coverage of both.
    """

    parameters = frozenset({"with"})

    @extend_schema(
        responses=CampaignComparisonSerializer,
        parameters=[
            OpenApiParameter("with", OpenApiTypes.STR, description="Another review; by default the one before it.")
        ],
    )
    def get(self, request: Request, key: str) -> Response:
        """Compare a review with an earlier one: items added and removed, decisions that differ, coverage of both."""
        now = self.evidence_of(key, "comparison")
        wanted = request.query_params.get("with", "")
        then = self.campaigns().filter(slug=wanted).first() if wanted else comparison.previous(now)
        if then is None:
            raise NotFound
        return Response(
            CampaignComparisonSerializer(comparison.compare(now, self.evidence_of(then.slug, "comparison"))).data
        )
