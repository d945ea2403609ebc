"""What a change would have done to recorded calls, over REST."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import visibility
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import Shown, Strict
from entitlements.api.matrix import Matrix
from governance.reviews import replaying

from .bodies import Limits, Names
from .matrix import MATRIX


class ReductionAsked(Strict):
    """A cut of one grant: tools to take away, and other limits by tool."""

    grant = serializers.UUIDField()
    drop = Names(required=False, default=list)
    limits = Limits(required=False, default=dict)


class ReductionShown(Shown):
    """What the cut would have done. `undecided` calls went to a tool whose limits change: their arguments are not kept.

    Numbers are null where calls go past our gateway.
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
    """POST /simulate/reduction."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(request=ReductionAsked, responses=ReductionShown)
    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Say how many of the calls of the last ninety days the cut would have denied. Nothing is changed."""
        body = self.body(ReductionAsked)
        grant = self.find(visibility.grants(self.caller), pk=body["grant"])
        return Response(ReductionShown(replaying.of_grant(grant, body["drop"], body["limits"]).as_json()).data)
