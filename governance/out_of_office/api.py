"""Out-of-office delegates over REST: list, look, make, end. A person delegates only their own answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Detail, Listing, Resource
from entitlements.errors import Forbidden
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate


class OutOfOfficeDelegateInputSerializer(InputSerializer):
    """The caller's delegate, from when until when, and why."""

    delegate = Text(max_length=64)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = Text(max_length=500)


class EndInputSerializer(InputSerializer):
    """Why it ends."""

    reason = Text(max_length=500)


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

    def rows(self) -> QuerySet[OutOfOfficeDelegate]:
        if self.caller.is_script:
            return OutOfOfficeDelegate.objects.select_related("delegator", "delegate")
        if self.caller.human is None:
            return OutOfOfficeDelegate.objects.none()
        return delegations.visible_to(self.caller.human)

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return delegations.about(row)

    def at_first_hand(self) -> Person:
        """Return the person who acts. Raises Forbidden for a script or an agent."""
        if self.caller.human is None:
            raise Forbidden
        return self.caller.human


class Delegations(_OutOfOfficeDelegateResource, Listing):
    """GET and POST /delegations."""

    filterset_class = DelegationFilter
    ordering = ("-made_at", "-id")

    @extend_schema(request=OutOfOfficeDelegateInputSerializer, responses={201: OutOfOfficeDelegateSerializer})
    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Name an out-of-office delegate; they can also answer what already waits."""
        body, by = self.body(OutOfOfficeDelegateInputSerializer), self.at_first_hand()
        delegation = delegations.make(delegations.delegate_by_login(body.pop("delegate")), by=by, **body)
        return self.again(delegation, status=HTTPStatus.CREATED)


class OutOfOfficeDelegateDetail(_OutOfOfficeDelegateResource, Detail):
    """GET /delegations/{id}."""


class EndDelegation(_OutOfOfficeDelegateResource):
    """POST /delegations/{id}/end."""

    @extend_schema(request=EndInputSerializer, responses=OutOfOfficeDelegateSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Take it back, or give it back; answers that were given stay."""
        row = self.find_row()
        self.about = self.links(row)
        delegations.end(row.pk, by=self.at_first_hand(), reason=self.body(EndInputSerializer)["reason"])
        return self.again(row)
