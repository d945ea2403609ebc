"""Which agents may act for an agent: list, permit, withdraw."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.agents.models import Agent
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Listing
from entitlements.delegation import actions, permissions
from entitlements.delegation.models import DelegationPermission


class DelegationSerializer(OutputSerializer):
    """Which agent (`actor`) may act for which (`agent`), since when and why; `ended_at` where it was withdrawn."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    actor = serializers.CharField(source="actor.slug")
    permitted_at = serializers.DateTimeField()
    reason = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class DelegationFilter(filters.FilterSet):
    """Filters of the list."""

    actor = filters.CharFilter(field_name="actor__slug")

    class Meta:
        model = DelegationPermission
        fields: ClassVar[list[str]] = []


class Delegates(Listing, ActionEndpoint):
    """List the delegations of an agent, and permit one.

    get: List the agents that may act for an agent.
    post: Permit another agent to act for an agent. Permitting the same agent again changes nothing.
    """

    action = actions.PERMIT
    is_versioned = False
    shows_result = True
    shown = DelegationSerializer
    filterset_class = DelegationFilter
    ordering = ("-permitted_at", "-id")
    answers = HTTPStatus.CREATED

    def rows(self) -> QuerySet[DelegationPermission]:
        """Return the permissions that the agent gives."""
        return permissions.open_between(Agent.objects.filter(pk=self.find_row().pk))

    def get(self, request: Request, **_named: object) -> Response:
        """Answer one page."""
        return super().get(request)

    def find_row(self) -> Agent:
        """Return the agent that the address names. Raises NotFound."""
        return self.find(visibility.agents(self.caller), slug=self.kwargs["key"])


class Withdraw(ActionEndpoint):
    """Withdraw the delegation of one agent to another. Each call and each token that needs it is refused at once."""

    action = actions.WITHDRAW
    subject = actions.PERMISSION
    shown = DelegationSerializer
    shows_result = True
