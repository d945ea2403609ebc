"""The settings of ticket references over REST: the versions, and the next one."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import CreateEndpoint, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.tickets import actions
from governance.tickets.models import TicketPolicy


class TicketPatternSerializer(OutputSerializer):
    """One kind of ticket."""

    name = serializers.CharField()
    expression = serializers.CharField()
    link = serializers.CharField()


class TicketPolicySerializer(OutputSerializer):
    """One version of the settings of ticket references; the newest is in force."""

    number = serializers.IntegerField()
    patterns = TicketPatternSerializer(many=True)
    needs = serializers.DictField(child=serializers.ChoiceField(choices=TicketPolicy.Need.choices))
    made_by = serializers.CharField(source="made_by.login")
    made_at = serializers.DateTimeField()


class TicketPolicyFilter(filters.FilterSet):
    """Filters of the list."""

    number = filters.NumberFilter()

    class Meta:
        model = TicketPolicy
        fields: ClassVar[list[str]] = []


class _Policies(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = TicketPolicySerializer

    def rows(self) -> QuerySet[TicketPolicy]:
        return TicketPolicy.objects.select_related("made_by")


class TicketPolicies(_Policies, Listing, CreateEndpoint):
    """List the settings of ticket references, and change them.

    get: List the versions of the settings of ticket references. The one in force comes first.
    post: Change the settings of ticket references. They are in force at once.
    """

    action = actions.CHANGE
    filterset_class = TicketPolicyFilter
    ordering = ("-number",)
