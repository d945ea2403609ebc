"""How a review went, and one set against an earlier one, over REST."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import Shown
from entitlements.errors import NotFound
from governance.reviews.campaigns.api.campaigns import OfReviews
from governance.reviews.quality import comparison, measures


class DifferenceShown(Shown):
    """One item that only one of both has, or that was answered otherwise; an outcome it does not have is empty."""

    name = serializers.CharField()
    system = serializers.CharField(source="at")
    risk = serializers.CharField()
    then = serializers.CharField()
    now = serializers.CharField()
    item = serializers.UUIDField(allow_null=True)
    earlier_item = serializers.UUIDField(source="earlier", allow_null=True)


class ContrastShown(Shown):
    """What two reviews have in common and what not; of each difference the first hundred are named."""

    campaign = serializers.CharField(source="now.slug")
    compared_with = serializers.CharField(source="then.slug")
    counts = serializers.DictField(child=serializers.IntegerField())
    outcomes = serializers.SerializerMethodField()
    coverage_percent_then = serializers.IntegerField(source="coverage.0", allow_null=True)
    coverage_percent_now = serializers.IntegerField(source="coverage.1", allow_null=True)
    added = DifferenceShown(many=True, source="differences.added")
    removed = DifferenceShown(many=True, source="differences.removed")
    changed = DifferenceShown(many=True, source="differences.changed")

    def get_outcomes(self, told: comparison.Contrast) -> dict[str, dict[str, int]]:
        """Return the items of each outcome, then and now."""
        return {name: {"then": then, "now": now} for name, then, now in told.outcomes}


class MeasuresShown(Shown):
    """How a review went, each as the page explains it; `as_of` says when a worker counted it, null for just now."""

    counts = serializers.DictField(child=serializers.IntegerField(allow_null=True))
    in_time_percent = serializers.IntegerField(allow_null=True)
    used_percent = serializers.IntegerField(allow_null=True)
    used_left_percent = serializers.IntegerField(allow_null=True)
    as_of = serializers.DateTimeField(allow_null=True)


class Measured(OfReviews):
    """GET /campaigns/{slug}/measures."""

    @extend_schema(responses=MeasuresShown)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Say how a review went: in time, passed on, proven and how soon (seconds), given again, stopped, used."""
        told = measures.known(self.evidence_of(key, "measures"))
        if told is None:
            raise NotFound
        counted = told.measures
        shares = {name: getattr(counted, name) for name in ("in_time_percent", "used_percent", "used_left_percent")}
        return Response(MeasuresShown({"counts": asdict(counted), "as_of": told.as_of, **shares}).data)


class Comparison(OfReviews):
    """GET /campaigns/{slug}/comparison."""

    parameters = frozenset({"with"})

    @extend_schema(
        responses=ContrastShown,
        parameters=[OpenApiParameter("with", OpenApiTypes.STR, description="Another review; else the last before it.")],
    )
    def get(self, request: Request, key: str) -> Response:
        """Set a review against an earlier one: what came and went, what was answered otherwise, coverage of both."""
        now = self.evidence_of(key, "comparison")
        wanted = request.query_params.get("with", "")
        then = self.campaigns().filter(slug=wanted).first() if wanted else comparison.before(now)
        if then is None:
            raise NotFound
        return Response(ContrastShown(comparison.contrast(now, self.evidence_of(then.slug, "comparison"))).data)
