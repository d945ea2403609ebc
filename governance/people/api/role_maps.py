"""The group mapping to admin roles, over REST: one person proposes a row, another puts it in force."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import OutputSerializer, ReasonInputSerializer, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Listing, Resource
from entitlements.people import role_maps
from entitlements.people.models import GroupMapping, Role
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.api.matrix import MATRIX
from governance.sod.api.policies import PersonAction, first_hand

_ROLES = [(role.value, role.label) for role in Role]


class GroupMappingInputSerializer(ReasonInputSerializer):
    """A new row: the issuer, the claim of its ID tokens, the value in it, the role, and why."""

    issuer = Text(max_length=300)
    claim = Text(max_length=200, default="groups")
    value = Text(max_length=300)
    role = serializers.ChoiceField(choices=_ROLES)


class GroupMappingSerializer(OutputSerializer):
    """One row: what gives which role, who proposed it and who put it in force."""

    id = serializers.UUIDField()
    issuer = serializers.CharField(source="issuer.issuer")
    claim = serializers.CharField()
    value = serializers.CharField()
    role = serializers.ChoiceField(choices=_ROLES)
    made_at = serializers.DateTimeField()
    proposed_by = serializers.CharField(source="proposed_by.login")
    confirmed_by = serializers.CharField(source="confirmed_by.login", default=None, allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class MappingFilter(filters.FilterSet):
    """Filters by role, and by whether a row has ended."""

    role = filters.ChoiceFilter(choices=_ROLES)
    ended = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = GroupMapping
        fields: ClassVar[list[str]] = []


class _GroupMappingResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = GroupMappingSerializer

    def rows(self) -> QuerySet[GroupMapping]:
        return GroupMapping.objects.select_related("issuer", "proposed_by", "confirmed_by")

    def links(self, mapping: GroupMapping) -> list[str]:
        return [f"mapping:{mapping.pk}"]


class Mappings(_GroupMappingResource, Listing):
    """GET and POST /group-mappings."""

    filterset_class = MappingFilter
    ordering = ("-made_at", "-id")
    asked = GroupMappingInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Propose a row; it gives nothing before a second person has put it in force."""
        body = self.body(GroupMappingInputSerializer)
        identity = TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.IDENTITY, enabled=True)
        issuer = self.find(identity, issuer=body.pop("issuer"))
        return self.again(role_maps.propose(issuer, **body, by=first_hand(self)), status=HTTPStatus.CREATED)


class ConfirmMapping(_GroupMappingResource, PersonAction):
    """Put a row in force, as a second person; each sign-in from now on is asked."""

    verb = staticmethod(role_maps.confirm)


class EndMapping(_GroupMappingResource, PersonAction):
    """End a row; every role that it gave is taken away at once."""

    verb = staticmethod(role_maps.end)
