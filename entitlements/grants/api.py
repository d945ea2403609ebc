"""Grants: list, look, revoke, suspend, restore. They begin only by an approved request."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from audit.context import Principal
from entitlements.access import visibility
from entitlements.api.fields import LineShown, OutputSerializer
from entitlements.api.resources import Act, Detail, Listing, Resource
from entitlements.grants import grants
from entitlements.grants.models import Grant


class GrantFilter(filters.FilterSet):
    """Filters by names, never by row numbers."""

    agent = filters.CharFilter(field_name="agent__slug")
    system = filters.CharFilter(field_name="entitlement__system__slug")
    entitlement = filters.CharFilter(field_name="entitlement__scope")
    person = filters.CharFilter(method="of_person")
    state = filters.ChoiceFilter(choices=Grant.State.choices)

    class Meta:
        model = Grant
        fields: ClassVar[list[str]] = []

    def of_person(self, rows: QuerySet[Grant], _name: str, login: str) -> QuerySet[Grant]:
        """Keep grants that name the person, or a group that they are in."""
        return rows.filter(visibility.naming(login))


class GrantSerializer(OutputSerializer):
    """A grant. `people` are named directly, `groups` bring theirs."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    entitlement = serializers.CharField(source="entitlement.scope")
    system = serializers.CharField(source="entitlement.system.slug")
    people = serializers.SerializerMethodField()
    groups = serializers.SerializerMethodField()
    lines = LineShown(many=True)
    state = serializers.ChoiceField(choices=Grant.State.choices)
    starts_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    request = serializers.UUIDField(source="request_id", allow_null=True)

    def get_people(self, grant: Grant) -> list[str]:
        """List the logins."""
        return sorted(subject.person.login for subject in grant.subjects.all() if subject.person)

    def get_groups(self, grant: Grant) -> list[str]:
        """List the slugs."""
        return sorted(subject.group.slug for subject in grant.subjects.all() if subject.group)


class _Grants(Resource):
    shown = GrantSerializer

    def rows(self) -> QuerySet[Grant]:
        return visibility.grants(self.caller)

    def links(self, grant: Any) -> list[str]:  # noqa: ANN401 - a row
        return grants.about(grant)


class Grants(_Grants, Listing):
    """List grants by agent, person, system, entitlement and state, newest first."""

    filterset_class = GrantFilter
    ordering = ("-created_at", "-id")


class One(_Grants, Detail):
    """Show one grant."""


class Revoke(_Grants, Act):
    """Revoke a grant at once."""

    @staticmethod
    def verb(grant: Grant, *, by: Principal, reason: str) -> Grant:
        """Revoke it."""
        return grants.revoke(grant.pk, by=by, reason=reason)


class Suspend(_Grants, Act):
    """Suspend a grant."""

    @staticmethod
    def verb(grant: Grant, *, by: Principal, reason: str) -> Grant:
        """Suspend it."""
        return grants.suspend(grant.pk, by=by, reason=reason)


class Restore(_Grants, Act):
    """Restore a suspended grant. The person who suspended it cannot."""

    @staticmethod
    def verb(grant: Grant, *, by: Principal, reason: str) -> Grant:
        """Restore it."""
        return grants.restore(grant.pk, by=by, reason=reason)
