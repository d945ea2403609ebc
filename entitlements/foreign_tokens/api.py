"""Measured ends over the API: part of a revocation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.foreign_tokens import queries
from entitlements.foreign_tokens.models import MeasuredEnds
from entitlements.foreign_tokens.rules import End, Means, Unknown, VendorAnswer


class EndSerializer(OutputSerializer):
    """Tokens of one system that ended alike.

    `held` says whether Mandate has them. `vendor_answer` is what the vendor said to their revocation, `end` what trying
    them found by `found_by`, `at` when that was measured; while it is pending, when they last worked.
    """

    system = serializers.CharField()
    held = serializers.BooleanField(source="is_held")
    count = serializers.IntegerField()
    vendor_answer = serializers.ChoiceField(choices=["", *VendorAnswer])
    end = serializers.ChoiceField(choices=[*End])
    found_by = serializers.ListField(child=serializers.ChoiceField(choices=[*Means]))
    why = serializers.ChoiceField(choices=["", *Unknown])
    at = serializers.DateTimeField(allow_null=True)


class MeasuredEndsSerializer(OutputSerializer):
    """How tokens of other servers ended, and the statement that is signed once all are measured."""

    ends = serializers.SerializerMethodField()
    signed_at = serializers.DateTimeField(allow_null=True)
    statement = serializers.CharField()

    @extend_schema_field(EndSerializer(many=True))
    def get_ends(self, row: MeasuredEnds) -> Any:  # noqa: ANN401 - plain data
        """Return the ends, the worst first."""
        return EndSerializer(queries.rows(row), many=True).data
