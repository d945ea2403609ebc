"""Credentials of agents' clients: list, look, accept, refuse."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.clients import actions, credentials
from entitlements.clients.models import Client, ClientCredential


class CredentialFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    client_id = filters.CharFilter()
    state = filters.ChoiceFilter(choices=ClientCredential.State.choices)

    class Meta:
        model = ClientCredential
        fields: ClassVar[list[str]] = []


class CredentialSerializer(OutputSerializer):
    """A key or secret for a client of an agent, who asked for it, and who accepts or accepted it.

    `workload` is what a workload rule would say. `secret` is shown in the answer to who asked for it and never again;
    it opens nothing before it is accepted.
    """

    id = serializers.UUIDField()
    client_id = serializers.CharField()
    agent = serializers.CharField(source="agent.slug")
    purpose = serializers.ChoiceField(choices=ClientCredential.Purpose.choices)
    name = serializers.CharField()
    auth = serializers.ChoiceField(choices=Client.Auth.choices)
    jwks = serializers.JSONField()
    redirect_uris = serializers.SerializerMethodField()
    api_scopes = serializers.ListField(child=serializers.CharField())
    workload = serializers.JSONField()
    state = serializers.ChoiceField(choices=ClientCredential.State.choices)
    asked_by = serializers.CharField()
    reason = serializers.CharField()
    asked_at = serializers.DateTimeField()
    answer_by = serializers.DateTimeField()
    acceptors = serializers.SerializerMethodField()
    answered_by = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)
    answer_reason = serializers.CharField()
    secret = serializers.SerializerMethodField()

    def get_redirect_uris(self, credential: ClientCredential) -> list[str]:
        """List the addresses."""
        return credential.redirect_uris.split()

    def get_acceptors(self, credential: ClientCredential) -> list[str]:
        """List by login who may accept it now; empty once it no longer waits."""
        if not credential.is_open:
            return []
        return [person.login for person in credentials.acceptors(credential.agent, credential.askers)]

    def get_secret(self, credential: ClientCredential) -> str | None:  # noqa: ARG002 - the framework's signature
        """Return the new secret, in the one answer that has it."""
        secret: str | None = self.context.get("secret")
        return secret


class _Credentials(Resource):
    shown = CredentialSerializer
    subject = actions.CREDENTIAL


class Credentials(_Credentials, Listing):
    """List the credentials of agents' clients, the newest first."""

    filterset_class = CredentialFilter
    ordering = ("-asked_at", "-id")


class One(_Credentials, Detail):
    """Show a client credential."""


class Accept(_Credentials, ActionEndpoint):
    """Accept a credential that waits for acceptance. It works from now on; the secret or key before it is refused."""

    action = actions.ACCEPT


class Refuse(_Credentials, ActionEndpoint):
    """Refuse a credential that waits for acceptance."""

    action = actions.REFUSE
