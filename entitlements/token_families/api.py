"""Token families: list, look, revoke. A refresh token is never shown, nor what it is made of."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.token_families import actions
from entitlements.token_families.models import TokenFamily


class TokenFamilyFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")
    client = filters.CharFilter(field_name="client__client_id")
    system = filters.CharFilter(field_name="system__slug")
    open = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = TokenFamily
        fields: ClassVar[list[str]] = []


class TokenFamilySerializer(OutputSerializer):
    """A sign-in of a person at a client, for as long as it is refreshed: to one system, or to the identity side."""

    id = serializers.UUIDField()
    client = serializers.CharField(source="client.client_id")
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    person = serializers.CharField(source="person.login")
    system = serializers.CharField(source="system.slug", allow_null=True, default=None)
    session = serializers.UUIDField(source="session_id", allow_null=True)
    scope = serializers.CharField()
    auth_time = serializers.DateTimeField()
    acr = serializers.CharField()
    amr = serializers.ListField(child=serializers.CharField(), source="methods")
    started_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField()
    last_used_from = serializers.SerializerMethodField(
        help_text="The address that its client last came from. Null but for the person, and for who sees everything."
    )
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_last_used_from(self, family: TokenFamily) -> str | None:
        """Keep a person's whereabouts from who answers for an agent or a system alone."""
        caller: Caller = self.context["request"].auth
        is_own = caller.human is not None and caller.human.pk == family.person_id
        return family.last_used_from if is_own or caller.sees_everything else None


class _TokenFamilies(Resource):
    shown = TokenFamilySerializer
    subject = actions.TOKEN_FAMILY


class TokenFamilies(_TokenFamilies, Listing):
    """List sign-ins of people at clients, the newest first.

    Filters: agent, person, client, system, and whether it is open.
    """

    filterset_class = TokenFamilyFilter
    ordering = ("-started_at", "-id")


class TokenFamilyDetail(_TokenFamilies, Detail):
    """Show a person's sign-in at a client."""


class Revoke(_TokenFamilies, ActionEndpoint):
    """Revoke a person's sign-in at a client.

    Its refresh token, and every token that came of it, are refused at once.
    """

    action = actions.REVOKE
