"""Policy domains over REST: the one in force at a system, and loading the next."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail
from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.policy_domains import actions, domains


class PolicyDomainSerializer(OutputSerializer):
    """The policy domain that is in force at a system."""

    system = serializers.CharField(source="system.slug")
    number = serializers.IntegerField(help_text="The version of the document, from 1.")
    document = serializers.JSONField()
    enforcement_points = serializers.ListField(child=serializers.CharField(), source="points")
    sha256 = serializers.CharField(help_text="Of the document as compact JSON, in hexadecimal.")
    reason = serializers.CharField()
    loaded_by = serializers.CharField(source="loaded_by.login")
    loaded_at = serializers.DateTimeField()


class SystemPolicyDomain(Detail, ActionEndpoint):
    """The policy domain of a system.

    get: Show the policy domain that is in force at a system.
    put: Load the next version of the policy domain of a system. It is in force at once, in the place of the last.
    """

    action = actions.LOAD
    shown: ClassVar[type[OutputSerializer]] = PolicyDomainSerializer
    is_versioned = False
    durable = True

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Show it, to those who answer for the system or for all of them."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        return self.show(system)

    def show(self, row: System, **kwargs: Any) -> Response:  # noqa: ANN401 - as the base's
        """Answer with the policy domain in force. Raises NotFound for a system without one."""
        found = domains.current().filter(system=row).first()
        if found is None:
            raise NotFound
        return Response(PolicyDomainSerializer(found).data, **kwargs)


ADDRESSES: Final = (("systems/<slug:key>/policy-domain", SystemPolicyDomain, "system-policy-domain"),)
"""Address, view and name of each, as the API mounts them."""
