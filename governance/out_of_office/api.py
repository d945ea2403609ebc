"""Out-of-office delegates over REST: list, look, make, end. A person delegates only their own answers."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.out_of_office import actions
from governance.out_of_office.models import OutOfOfficeDelegate


class OutOfOfficeDelegateSerializer(OutputSerializer):
    """Who answers in whose place, from when until when; `ended_at` where it was taken back."""

    id = serializers.UUIDField()
    delegator = serializers.CharField(source="delegator.login")
    delegate = serializers.CharField(source="delegate.login")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    made_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class DelegationFilter(filters.FilterSet):
    """Filters by logins."""

    delegator = filters.CharFilter(field_name="delegator__login")
    delegate = filters.CharFilter(field_name="delegate__login")

    class Meta:
        model = OutOfOfficeDelegate
        fields: ClassVar[list[str]] = []


class _OutOfOfficeDelegateResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = OutOfOfficeDelegateSerializer
    subject = actions.DELEGATION


class Delegations(_OutOfOfficeDelegateResource, Listing, CreateEndpoint):
    """List out-of-office delegates, and name one.

    get: List out-of-office delegates.
    post: Name an out-of-office delegate. The delegate decides your requests and reviews for a while, by the rules
        that hold for you.
    """

    action = actions.MAKE
    filterset_class = DelegationFilter
    ordering = ("-made_at", "-id")


class OutOfOfficeDelegateDetail(_OutOfOfficeDelegateResource, Detail):
    """Show an out-of-office delegate."""


class EndDelegation(_OutOfOfficeDelegateResource, ActionEndpoint):
    """End an out-of-office delegation. You, or your delegate, can end it. Decisions made under it stay."""

    action = actions.END
