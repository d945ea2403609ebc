"""The use of access over REST: the use of each line, right-sizing proposals with their replay, applying them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.access import visibility
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Listing
from entitlements.grants.api import GrantSerializer
from entitlements.grants.models import Grant
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.requests.api.bodies import Names, Number
from governance.reviews.usage import actions, right_sizing, usage
from governance.reviews.usage.models import UsageDay

from .simulation import ReductionSerializer


class TighteningSerializer(OutputSerializer):
    """A limit far above its use: the allowed maximum, the largest value used in so many calls, the proposed maximum."""

    tool = serializers.CharField()
    argument = serializers.CharField()
    limit = Number()
    most = Number()
    calls = serializers.IntegerField()
    proposed = Number()


class RightSizingSerializer(OutputSerializer):
    """What could be removed from one grant: tools not called in ninety days, and limits far above their use.

    `replay` shows what all of it together would have denied.
    """

    grant = serializers.UUIDField(source="grant.pk")
    agent = serializers.CharField(source="grant.agent.slug")
    system = serializers.CharField(source="grant.entitlement.system.slug")
    entitlement = serializers.CharField(source="grant.entitlement.scope")
    drop = serializers.ListField(child=serializers.CharField())
    keep = serializers.ListField(child=serializers.CharField())
    tighten = TighteningSerializer(many=True)
    replay = serializers.SerializerMethodField()

    @extend_schema_field(ReductionSerializer)
    def get_replay(self, proposal: right_sizing.Proposal) -> dict[str, Any]:
        """Replay the calls of the window."""
        return dict(ReductionSerializer(proposal.replay.as_json()).data)


class RightSizeInputSerializer(InputSerializer):
    """The tools to remove, all of them still unused; lower maximums by tool and argument; and the reason.

    A maximum must be at or above the one proposed now, and below the present limit.
    """

    drop = Names(required=False, default=list)
    tighten = serializers.DictField(child=serializers.DictField(child=Number()), required=False, default=dict)
    reason = Text(max_length=500)


class LineUseSerializer(OutputSerializer):
    """The use of one tool in ninety days. Numbers are null where calls bypass our gateway (grades B and C).

    `full_window`: the access, or what it renews, is older than that, so that no call means that it is unused.
    `arguments`: the smallest and the largest value of each numeric argument that a limit bounds, by name.
    """

    tool = serializers.CharField()
    grade = serializers.ChoiceField(choices=["A", "B", "C"], source="use.grade")
    full_window = serializers.BooleanField(source="use.full")
    calls = serializers.IntegerField(allow_null=True, source="use.calls")
    denied = serializers.IntegerField(allow_null=True, source="use.denied")
    people = serializers.IntegerField(allow_null=True, source="use.people")
    last_call_at = serializers.DateTimeField(allow_null=True, source="use.last")
    arguments = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        allow_null=True,
        source="use.ranges",
    )


class DaySerializer(OutputSerializer):
    """The sealed calls of one tool on one day, in UTC; calls that are not added up yet are missing."""

    day = serializers.DateField()
    tool = serializers.CharField(source="tool.name")
    calls = serializers.IntegerField()
    denied = serializers.IntegerField()
    people = serializers.SerializerMethodField()

    def get_people(self, row: UsageDay) -> int:
        """Count the people that the agent acted for."""
        return len(row.people)


class UseSerializer(OutputSerializer):
    """The use of one grant. `arguments`: the audit log keeps a digest of them, and the numbers that a limit bounds."""

    since = serializers.DateTimeField()
    lines = LineUseSerializer(many=True)
    days = DaySerializer(many=True)
    arguments = serializers.ChoiceField(choices=["bounded_numbers"])


class GrantUse(Endpoint):
    """Show the use of a grant. How often each tool was called in ninety days, in total and by day."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=UseSerializer)
    def get(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Return how much each tool of a grant was used in ninety days, in total and by day."""
        grant, now = self.find(visibility.grants(self.caller), pk=key), clock.now()
        uses = usage.of_lines([grant.pk], now)
        lines = [{"tool": line.tool.name, "use": uses[grant.pk, line.tool_id]} for line in grant.lines.all()]
        since = now - usage.WINDOW
        days = UsageDay.objects.filter(grant=grant, day__gte=since.date()).select_related("tool")
        detail = {
            "since": since,
            "lines": lines,
            "days": days.order_by("day", "tool__name"),
            "arguments": "bounded_numbers",
        }
        return Response(UseSerializer(detail).data)


class LargerFilter(filters.FilterSet):
    """Filters of proposals."""

    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="entitlement__system__slug")

    class Meta:
        model = Grant
        fields: ClassVar[list[str]] = []


class RightSizing(Listing):
    """List suggestions for right-sizing.

    What could be removed or limited without denying any call of the last ninety days.
    """

    matrix: ClassVar[Matrix] = MATRIX
    serializer_class = RightSizingSerializer
    filterset_class = LargerFilter
    ordering = ("-created_at", "-id")

    def rows(self) -> QuerySet[Grant]:
        """Return the grants that the caller sees and that are larger than their use."""
        return right_sizing.oversized(visibility.grants(self.caller))

    @extend_schema(responses=RightSizingSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List what could be removed or limited further without denying any call of the last ninety days."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(RightSizingSerializer(right_sizing.proposals(page or []), many=True).data)


class RightSize(ActionEndpoint):
    """Right-size a grant.

    Remove tools that are still unused, and lower limits that are still far above their use. Removing all tools
    revokes the grant.
    """

    action = actions.RIGHT_SIZE
    matrix: ClassVar[Matrix] = MATRIX
    asked = RightSizeInputSerializer
    shown = GrantSerializer
