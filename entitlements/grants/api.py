"""Grants: list, look, revoke, suspend, restore. They begin only by an approved request."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.fields import LineShown, OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.grants import actions
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
    subject = actions.GRANT


class Grants(_Grants, Listing):
    """List grants, the newest first. Filters: agent, person, system, entitlement and state."""

    filterset_class = GrantFilter
    ordering = ("-created_at", "-id")


class One(_Grants, Detail):
    """Show a grant."""


class Revoke(_Grants, ActionEndpoint):
    """Revoke a grant at once. This is for good. To get a signed receipt as well, use `POST /revocations`."""

    action = actions.REVOKE


class Suspend(_Grants, ActionEndpoint):
    """Suspend a grant at once. It can be restored."""

    action = actions.SUSPEND


class Restore(_Grants, ActionEndpoint):
    """Restore a suspended grant. The person who suspended it cannot restore it."""

    action = actions.RESTORE
