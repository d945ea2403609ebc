"""Who calls: what a script asks first, to see whether its credential is the right one."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer


class MeSerializer(OutputSerializer):
    """The caller. `roles` are a person's, `scopes` those of a script's or an agent's token."""

    principal = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    agent = serializers.CharField(allow_null=True)
    client = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())


class Me(Endpoint):
    """Say as whom the caller is known."""

    shown = MeSerializer

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Show the caller."""
        caller = self.caller
        values = {
            "principal": str(caller),
            "roles": sorted(caller.roles),
            "agent": caller.agent.slug if caller.agent else None,
            "client": caller.client.client_id if caller.client else None,
            "scopes": sorted(caller.scopes or ()),
        }
        return Response(MeSerializer(values).data)
