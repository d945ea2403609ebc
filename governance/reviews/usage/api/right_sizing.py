"""The use of access over REST: what was seen of each line, what is more than that with its replay, letting it go."""

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
from entitlements.api.endpoints import Endpoint, Listing
from entitlements.api.fields import Shown, Strict, Text
from entitlements.api.matrix import Matrix
from entitlements.grants import grants
from entitlements.grants.api import GrantShown
from entitlements.grants.models import Grant
from governance.api.matrix import MATRIX
from governance.requests.api.bodies import Names, Number
from governance.reviews.items import errors as item_errors
from governance.reviews.usage import right_sizing, usage
from governance.reviews.usage.models import UsageDay

from .simulation import ReductionShown


class TighteningShown(Shown):
    """One limit far above its use: the most that is allowed, the most that was used in so many calls, what could be."""

    tool = serializers.CharField()
    argument = serializers.CharField()
    limit = Number()
    most = Number()
    calls = serializers.IntegerField()
    proposed = Number()


class LargerThanUsed(Shown):
    """What could go from one grant: tools that nobody called in ninety days, the room of limits far above their use.

    `replay` says what all of it together would have denied.
    """

    grant = serializers.UUIDField(source="grant.pk")
    agent = serializers.CharField(source="grant.agent.slug")
    system = serializers.CharField(source="grant.entitlement.system.slug")
    entitlement = serializers.CharField(source="grant.entitlement.scope")
    drop = serializers.ListField(child=serializers.CharField())
    keep = serializers.ListField(child=serializers.CharField())
    tighten = TighteningShown(many=True)
    replay = serializers.SerializerMethodField()

    @extend_schema_field(ReductionShown)
    def get_replay(self, proposal: right_sizing.Proposal) -> dict[str, Any]:
        """Replay the calls of the window."""
        return dict(ReductionShown(proposal.replay.as_json()).data)


class RightSizeAsked(Strict):
    """The tools to take away, all of them still unused; the most of arguments, by tool and argument; and why.

    A most is what is proposed now, or gentler: above it, and below the limit that holds.
    """

    drop = Names(required=False, default=list)
    tighten = serializers.DictField(child=serializers.DictField(child=Number()), required=False, default=dict)
    reason = Text(max_length=500)


class LineUseShown(Shown):
    """What was seen of one tool in ninety days. Numbers are null where calls go past our gateway (grades B and C).

    `full_window`: the access, or what it renews, is older than that, so that no call means that nobody used it.
    `arguments`: the least and the most of each number among the arguments that a limit bounds, by name.
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


class DayShown(Shown):
    """The sealed calls of one tool on one day, in UTC; what was not added up yet is missing."""

    day = serializers.DateField()
    tool = serializers.CharField(source="tool.name")
    calls = serializers.IntegerField()
    denied = serializers.IntegerField()
    people = serializers.SerializerMethodField()

    def get_people(self, row: UsageDay) -> int:
        """Count whom they were for."""
        return len(row.people)


class UseShown(Shown):
    """The use of one grant. `arguments`: of them the record keeps a digest, and numbers that a limit bounds."""

    since = serializers.DateTimeField()
    lines = LineUseShown(many=True)
    days = DayShown(many=True)
    arguments = serializers.ChoiceField(choices=["bounded_numbers"])


class GrantUse(Endpoint):
    """GET /grants/{id}/use."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=UseShown)
    def get(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Say how much each tool of a grant was used in ninety days, and on which of them."""
        grant, now = self.find(visibility.grants(self.caller), pk=key), clock.now()
        found = usage.of_lines([grant.pk], now)
        lines = [{"tool": line.tool.name, "use": found[grant.pk, line.tool_id]} for line in grant.lines.all()]
        since = now - usage.WINDOW
        days = UsageDay.objects.filter(grant=grant, day__gte=since.date()).select_related("tool")
        told = {
            "since": since,
            "lines": lines,
            "days": days.order_by("day", "tool__name"),
            "arguments": "bounded_numbers",
        }
        return Response(UseShown(told).data)


class LargerFilter(filters.FilterSet):
    """Filters of proposals."""

    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="entitlement__system__slug")

    class Meta:
        model = Grant
        fields: ClassVar[list[str]] = []


class RightSizing(Listing):
    """GET /right-sizing."""

    matrix: ClassVar[Matrix] = MATRIX
    serializer_class = LargerThanUsed
    filterset_class = LargerFilter
    ordering = ("-created_at", "-id")

    def rows(self) -> QuerySet[Grant]:
        """Return the grants, of those the caller sees, from which something could go."""
        return right_sizing.larger(visibility.grants(self.caller))

    @extend_schema(responses=LargerThanUsed(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List what could go, or be limited further, without denying anything that was done in ninety days."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(LargerThanUsed(right_sizing.proposals(page or []), many=True).data)


class RightSize(Endpoint):
    """POST /grants/{id}/right-size."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(request=RightSizeAsked, responses=GrantShown)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Take unused tools from a grant and lower limits far above their use, as a person who may.

        All tools of it ends it.
        """
        grant = self.find(visibility.grants(self.caller), pk=key)
        self.permit(grant, *grants.about(grant))
        body = self.body(RightSizeAsked)
        if self.caller.human is None:
            raise item_errors.MayNotReview
        right_sizing.apply(grant, body["drop"], body["tighten"], by=self.caller.human, reason=body["reason"])
        return Response(GrantShown(self.find(visibility.grants(self.caller), pk=key)).data)
