"""Connections: list, look, end. One begins with the person's consent, on the page where they sign in."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.connections import actions
from entitlements.connections.models import Connection


class ConnectionFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")
    client = filters.CharFilter(field_name="client__client_id")
    open = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = Connection
        fields: ClassVar[list[str]] = []


class ConnectionSerializer(OutputSerializer):
    """The agent of a person at a client. `name_is_claimed`: nothing proves that the client is the one it names."""

    id = serializers.UUIDField()
    client = serializers.CharField(source="client.client_id")
    name_is_claimed = serializers.BooleanField(source="client.name_is_claimed")
    agent = serializers.CharField(source="agent.slug")
    person = serializers.CharField(source="person.login")
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class _Connections(Resource):
    shown = ConnectionSerializer
    subject = actions.CONNECTION


class Connections(_Connections, Listing):
    """List connections of people with clients, the newest first.

    Filters: agent, person, client, and whether it is open.
    """

    filterset_class = ConnectionFilter
    ordering = ("-began_at", "-id")


class ConnectionDetail(_Connections, Detail):
    """Show a connection."""


class End(_Connections, ActionEndpoint):
    """End a connection. Every sign-in, session and token of it ends at once."""

    action = actions.END
