"""What approving a request would mean, over REST."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.blast_radius import preview


class TermSerializer(OutputSerializer):
    """One tool line in a blast radius; `tool` and `system` are null where the caller does not see the grant."""

    tool = serializers.CharField(source="tool.name", default=None, allow_null=True)
    system = serializers.CharField(source="tool.system.slug", default=None, allow_null=True)
    weight = serializers.FloatField()
    added = serializers.BooleanField()


class RequestPreviewSerializer(OutputSerializer):
    """What approving a request would mean. It is for reading; no decision hangs on it."""

    before = serializers.IntegerField(min_value=0, max_value=100)
    after = serializers.IntegerField(min_value=0, max_value=100)
    rank = serializers.IntegerField(min_value=1)
    agents = serializers.IntegerField(min_value=1)
    biggest = TermSerializer(many=True)
    holders = serializers.SerializerMethodField()
    outcomes = serializers.DictField(child=serializers.IntegerField())

    def get_holders(self, outlook: preview.Outlook) -> list[str]:
        """List the other agents that hold any of it, of those that the caller sees."""
        return [agent.slug for agent in outlook.holders]


class Outlook(Endpoint):
    """Show what the approval of a request would mean.

    The agent's blast radius before and after, who else holds the entitlement, and earlier requests like it.
    """

    matrix: ClassVar[Matrix] = MATRIX
    parameters: ClassVar[frozenset[str]] = frozenset({"tools"})

    @extend_schema(
        responses=RequestPreviewSerializer,
        parameters=[OpenApiParameter("tools", str, description="What is kept, by name, between commas; else all.")],
    )
    def get(self, request: Request, asked: UUID) -> Response:
        """Say what approving it would mean: the blast radius before and after, who else holds it, the like before."""
        rows = preview.visible(self.caller).select_related("agent", "entitlement__system")
        access_request = self.find(rows, pk=asked)
        named = request.query_params.get("tools")
        kept = access_request.lines.values_list("tool__name", flat=True) if named is None else named.split(",")
        return Response(RequestPreviewSerializer(preview.outlook_of(access_request, kept, self.caller)).data)
