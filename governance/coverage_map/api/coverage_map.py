"""The coverage map over REST: each agent at each system by its path, how much is seen per call, what does not fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import spreadsheets
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Listing
from entitlements.permissions.matrix import Matrix
from entitlements.unmanaged_agents.models import PathTerms, Workflow
from governance.api.matrix import MATRIX
from governance.coverage_map import actions, coverage_map

COLUMNS: Final = (
    "agent",
    "seen_as",
    "system",
    "path",
    "state",
    "issued",
    "usage_grade",
    "token_basis",
    "token_seconds",
    "session_seconds",
    "reauthentication_seconds",
    "stop_seconds",
    "bypass",
    "last_used_at",
    "since",
    "changed_by",
)


class CoverageRowSerializer(OutputSerializer):
    """One workflow. An unknown time is null; `token_basis` says how a token life is known."""

    id = serializers.IntegerField()
    agent = serializers.CharField(allow_null=True)
    seen_as = serializers.CharField(allow_null=True)
    system = serializers.CharField()
    path = serializers.ChoiceField(choices=PathTerms.Path.choices)
    state = serializers.ChoiceField(choices=Workflow.State.choices)
    issued = serializers.BooleanField(help_text="Whether a token for the system is issued here at all.")
    usage_grade = serializers.ChoiceField(choices=[("A", "A"), ("B", "B"), ("C", "C")])
    token_basis = serializers.ChoiceField(choices=PathTerms.Basis.choices)
    token_seconds = serializers.IntegerField(allow_null=True)
    session_seconds = serializers.IntegerField(allow_null=True)
    reauthentication_seconds = serializers.IntegerField(allow_null=True)
    stop_seconds = serializers.IntegerField(allow_null=True)
    bypass = serializers.ChoiceField(choices=PathTerms.Bypass.choices)
    last_used_at = serializers.DateTimeField(allow_null=True)
    since = serializers.DateTimeField()
    changed_by = serializers.CharField()


class FindingSerializer(OutputSerializer):
    """What does not fit together at one system: times of the governed path and of the one past us; null is unknown."""

    system = serializers.CharField(source="system.slug")
    what = serializers.CharField()
    governed = serializers.IntegerField(allow_null=True)
    known = serializers.IntegerField(allow_null=True)
    agents = serializers.ListField(child=serializers.CharField())


class SummarySerializer(OutputSerializer):
    """How many agents there are and are visible per call, workflows by path, and what does not fit.

    Of many workflows the numbers are those that a worker counted `as_of` then; null says that they are of now.
    """

    agents = serializers.IntegerField()
    visible_per_call = serializers.IntegerField(source="visible")
    percent = serializers.IntegerField(allow_null=True)
    paths = serializers.DictField(child=serializers.IntegerField())
    as_of = serializers.DateTimeField(allow_null=True)
    findings = FindingSerializer(many=True)


class PathTermsSerializer(OutputSerializer):
    """The terms of a path, as a person described them."""

    path = serializers.ChoiceField(choices=PathTerms.Path.choices)
    token_basis = serializers.ChoiceField(choices=PathTerms.Basis.choices)
    token_seconds = serializers.IntegerField(allow_null=True)
    session_seconds = serializers.IntegerField(allow_null=True)
    reauthentication_seconds = serializers.IntegerField(allow_null=True)
    stop_seconds = serializers.IntegerField(allow_null=True)
    bypass = serializers.ChoiceField(choices=PathTerms.Bypass.choices)
    said_by = serializers.CharField()
    said_at = serializers.DateTimeField()
    reason = serializers.CharField()


class PathTermsInputSerializer(InputSerializer):
    """What holds on a path; what is left out is unknown from then on. On the gateway's only `bypass` can be set."""

    path = serializers.ChoiceField(choices=PathTerms.Path.choices)
    token_basis = serializers.ChoiceField(choices=PathTerms.Basis.choices, required=False)
    token_seconds = serializers.IntegerField(min_value=1, max_value=coverage_map.LONGEST, required=False)
    session_seconds = serializers.IntegerField(min_value=1, max_value=coverage_map.LONGEST, required=False)
    reauthentication_seconds = serializers.IntegerField(min_value=1, max_value=coverage_map.LONGEST, required=False)
    stop_seconds = serializers.IntegerField(min_value=1, max_value=coverage_map.LONGEST, required=False)
    bypass = serializers.ChoiceField(choices=PathTerms.Bypass.choices, required=False)
    reason = Text(max_length=500)


class CoverageFilter(filters.FilterSet):
    """Filters of the map."""

    path = filters.ChoiceFilter(choices=PathTerms.Path.choices)
    state = filters.ChoiceFilter(choices=Workflow.State.choices)
    system = filters.CharFilter(field_name="system__slug")
    agent = filters.CharFilter(field_name="agent__slug")

    class Meta:
        model = Workflow
        fields: ClassVar[list[str]] = []


def workflow_rows(rows: Iterable[Workflow]) -> list[dict[str, Any]]:
    """Write workflows with what holds on their paths."""
    listed = list(rows)
    terms_by_path = coverage_map.terms(listed)
    result = []
    for row in listed:
        path: str = row.path  # type: ignore[attr-defined]  # annotated by coverage.rows
        terms = terms_by_path[row.system_id, path]
        result.append(
            {
                "id": row.pk,
                "agent": row.agent.slug if row.agent else None,
                "seen_as": row.seen.name if row.seen else None,
                "system": row.system.slug,
                "path": path,
                "state": row.state,
                "issued": coverage_map.is_issued(row.system),
                "usage_grade": coverage_map.GRADES[PathTerms.Path(path)],
                **{name: getattr(terms, name) for name in COLUMNS if hasattr(terms, name)},
                "last_used_at": row.last_used_at,
                "since": row.changed_at,
                "changed_by": row.changed_by,
            }
        )
    return result


def as_csv(rows: Iterable[Workflow]) -> str:
    """Write workflows as a table in which no cell is a formula, and no unknown is a time."""
    table = (["unknown" if row[name] is None else row[name] for name in COLUMNS] for row in workflow_rows(rows))
    return "".join(map(spreadsheets.line, [COLUMNS, *table]))


class CoverageRows(Listing):
    """List the coverage map.

    Each workflow that you can see, with the path that it takes to a system and the terms of that path.
    """

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = CoverageRowSerializer
    filterset_class = CoverageFilter

    def rows(self) -> QuerySet[Workflow]:
        """Return what the caller sees."""
        return coverage_map.rows(self.caller)

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Answer one page."""
        page = self.paginate_queryset(self.filter_queryset(self.rows())) or []
        return self.get_paginated_response(CoverageRowSerializer(workflow_rows(page), many=True).data)


class Summary(Endpoint):
    """Summarise the coverage map.

    How much of what you can see is visible call by call, and what does not fit together.
    """

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=SummarySerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Return how much of what one sees is visible per call, and what does not fit together."""
        head = coverage_map.headline(self.caller)
        findings = coverage_map.findings(self.caller)
        names = ("agents", "visible", "percent", "paths", "as_of")
        return Response(SummarySerializer({**{name: getattr(head, name) for name in names}, "findings": findings}).data)


class SystemPath(ActionEndpoint):
    """Describe the terms of a path to a system."""

    action = actions.DESCRIBE
    shows_result = True
    matrix: ClassVar[Matrix] = MATRIX
    shown = PathTermsSerializer
    asked = PathTermsInputSerializer
