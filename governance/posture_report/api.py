"""The posture report over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.posture_report.queries import reports
from governance.posture_report.queries.catalog import FIGURES


class BiggestAgentSerializer(OutputSerializer):
    """One of the agents with the biggest blast radius."""

    slug = serializers.CharField()
    name = serializers.CharField()
    blast_radius = serializers.IntegerField()


class PostureSerializer(OutputSerializer):
    """The figures at one time. `month` is null for now; a figure is null where it is not known."""

    month = serializers.SerializerMethodField()
    as_of = serializers.DateTimeField()
    figures = serializers.DictField(child=serializers.IntegerField(allow_null=True))
    biggest = BiggestAgentSerializer(many=True)

    def get_month(self, month: reports.Month) -> str | None:
        """Return the month as `2026-10`."""
        return f"{month.month:%Y-%m}" if month.month else None


class PostureReportSerializer(OutputSerializer):
    """The report of a department now; `department` is null for the company, and empty for agents of none."""

    key = serializers.CharField()
    department = serializers.CharField(allow_null=True, allow_blank=True)
    now = PostureSerializer(allow_null=True)


class DefinitionSerializer(OutputSerializer):
    """What a figure counts."""

    key = serializers.CharField()
    name = serializers.CharField(source="label")
    definition = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)


class PostureReportsSerializer(OutputSerializer):
    """The reports that the caller may read, and what their figures mean."""

    results = PostureReportSerializer(many=True)
    definitions = DefinitionSerializer(many=True)


class PostureReportDetailSerializer(PostureReportSerializer):
    """The report of a department now and at the end of each of the last months, the latest first."""

    months = PostureSerializer(many=True)


class PostureReports(Endpoint):
    """List the posture reports.

    The company and each department that you may see, with the figures of now and what each figure means.
    """

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=PostureReportsSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Return the reports of now."""
        found: dict[str, Any] = {"results": reports.of_caller(self.caller), "definitions": FIGURES}
        return Response(PostureReportsSerializer(found).data)


class PostureReport(Endpoint):
    """Show one posture report.

    The figures of a department, or of the company (`company`), now and at the end of each of the last twelve months.
    """

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=PostureReportDetailSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Return one report with its months."""
        return Response(PostureReportDetailSerializer(reports.find(self.caller, key)).data)
