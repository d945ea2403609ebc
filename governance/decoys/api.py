"""Decoys over REST: planted, in force and over, and how often they were touched. For people of security alone."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.decoys.models import Decoy
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.decoys import actions, queries


class DecoySerializer(OutputSerializer):
    """A decoy, the tool beside it and its answer."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    system = serializers.CharField(source="system.slug")
    beside = serializers.CharField(source="beside.name")
    definition = serializers.DictField()
    answer = serializers.CharField()
    agents = serializers.SerializerMethodField()
    touches = serializers.IntegerField(source="times")
    touched_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    planted_by = serializers.CharField(source="planted_by.login")
    planted_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()

    def get_agents(self, row: Decoy) -> list[str]:
        """Return the agents that it was planted for."""
        return sorted(agent.slug for agent in row.agents.all())


class DecoyFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    agent = filters.CharFilter(field_name="agents__slug")
    over = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Decoy
        fields: ClassVar[list[str]] = []


class _Decoys(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = DecoySerializer
    subject = actions.DECOY

    def rows(self) -> QuerySet[Decoy]:
        """The decoys, with how often each was touched."""
        return queries.with_touches(super().rows())


class Decoys(_Decoys, Listing, CreateEndpoint):
    """List decoys, and plant a tool.

    get: List decoys, in force and over.
    post: List a tool to some agents that may not be called. A call is answered as a failure of the system, reaches
    nothing, and is a risk signal at once.
    """

    action = actions.PLANT_TOOL
    filterset_class = DecoyFilter
    ordering = ("-planted_at", "-id")


class DecoyDetail(_Decoys, Detail):
    """Show a decoy."""


class EndDecoy(_Decoys, ActionEndpoint):
    """End a decoy."""

    action = actions.END


ADDRESSES: Final = (
    ("decoys", Decoys, "decoys"),
    ("decoys/<uuid:key>", DecoyDetail, "decoy"),
    ("decoys/<uuid:key>/end", EndDecoy, "decoy-end"),
)
"""Address, view and name of each, as the API mounts them."""
