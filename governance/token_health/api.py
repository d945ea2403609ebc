"""Token health over REST: what to fix about tokens and credentials, as the page of the console shows it."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.api.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.token_health import token_health


class TokenFindingSerializer(OutputSerializer):
    """Something to fix: of which kind it is, what it is about, why, and where in the console it is mended."""

    kind = serializers.ChoiceField(choices=[(kind, kind) for kind in token_health.KINDS])
    about = serializers.CharField()
    reason = serializers.CharField()
    address = serializers.CharField()


class TokenHealthSerializer(OutputSerializer):
    """What to fix about tokens and credentials that the caller sees, the gravest first, as it is `at` that moment."""

    at = serializers.DateTimeField()
    findings = TokenFindingSerializer(many=True)


class TokenHealth(Endpoint):
    """Return what to fix: old secrets, tokens that outlive a revocation, unused clients."""

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=TokenHealthSerializer, operation_id="token_health_read")
    def get(self, request: Request) -> Response:  # noqa: ARG002 - it asks nothing
        """Name it."""
        values = {"at": clock.now(), "findings": token_health.findings(self.caller)}
        return Response(TokenHealthSerializer(values).data)
