"""The group mapping to admin roles, over REST: one person proposes a row, another puts it in force."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer, ReasonInputSerializer, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Listing, Resource
from entitlements.people.models import GroupMapping, Role
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.api.matrix import MATRIX
from governance.people import actions

_ROLES = [(role.value, role.label) for role in Role]


class GroupMappingInputSerializer(ReasonInputSerializer):
    """A new row: the issuer, the claim of its ID tokens, the value in it, the role, and why."""

    issuer = Text(max_length=300)
    claim = Text(max_length=200, default="groups")
    value = Text(max_length=300)
    role = serializers.ChoiceField(choices=_ROLES)


class GroupMappingSerializer(TwoPersonSerializer):
    """One row: what gives which role, who proposed it and who put it in force."""

    issuer = serializers.CharField(source="issuer.issuer")
    claim = serializers.CharField()
    value = serializers.CharField()
    role = serializers.ChoiceField(choices=_ROLES)


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
    subject = actions.MAPPING


class Mappings(_GroupMappingResource, Listing, CreateEndpoint):
    """List group mappings, and propose one.

    get: List group mappings.
    post: Propose a group mapping. It assigns an admin role to everybody whose sign-in carries the claim, once another
        person has confirmed it.
    """

    action = actions.PROPOSE
    asked = GroupMappingInputSerializer
    filterset_class = MappingFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read the row, and its issuer by name. It gives nothing before a second person has put it in force."""
        values = super().read()
        identity = TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.IDENTITY, enabled=True)
        return {**values, "issuer": self.find(identity, issuer=values["issuer"])}


class ConfirmMapping(_GroupMappingResource, ActionEndpoint):
    """Confirm a proposed group mapping.

    The person who proposed it cannot confirm it. Each sign-in from then on assigns the admin role.
    """

    action = actions.CONFIRM


class EndMapping(_GroupMappingResource, ActionEndpoint):
    """End a group mapping. Every admin role that it assigned is removed at once."""

    action = actions.END_MAPPING
