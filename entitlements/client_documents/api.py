"""Clients that describe themselves, over REST: allowed hosts, what was read, and the decision about each."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.client_documents import actions
from entitlements.client_documents.models import ClientDocument, ClientHost
from entitlements.clients.models import Client


class ClientHostSerializer(OutputSerializer):
    """A host whose clients need the person's consent alone: who proposed it, and who accepts its clients."""

    id = serializers.UUIDField()
    host = serializers.CharField()
    serves = serializers.ChoiceField(choices=Client.Serves.choices)
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=ClientHost.State.choices)
    proposed_by = serializers.CharField(source="proposed_by.login")
    proposed_at = serializers.DateTimeField()
    confirmed_by = serializers.CharField(source="confirmed_by.login", default=None, allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class ClientDocumentSerializer(OutputSerializer):
    """A metadata document as it was last read, how many people tried its client, and what was decided."""

    id = serializers.IntegerField()
    client_id = serializers.CharField()
    host = serializers.CharField()
    name = serializers.CharField()
    document = serializers.JSONField()
    jwks = serializers.JSONField()
    fetched_at = serializers.DateTimeField()
    fresh_until = serializers.DateTimeField()
    stored_by = serializers.CharField(source="stored_by.login", default=None, allow_null=True)
    state = serializers.ChoiceField(choices=ClientDocument.State.choices)
    people = serializers.SerializerMethodField()
    asked_at = serializers.DateTimeField(allow_null=True)
    serves = serializers.ChoiceField(choices=Client.Serves.choices)
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)
    decided_by = serializers.CharField(source="decided_by.login", default=None, allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()

    def get_people(self, document: ClientDocument) -> int:
        """Count the people who tried to sign in while it waits."""
        return len(document.tried_by)


class ClientHostFilter(filters.FilterSet):
    """Filters of the list."""

    host = filters.CharFilter()
    state = filters.ChoiceFilter(choices=ClientHost.State.choices)

    class Meta:
        model = ClientHost
        fields: ClassVar[list[str]] = []


class ClientDocumentFilter(filters.FilterSet):
    """Filters of the list."""

    client_id = filters.CharFilter()
    host = filters.CharFilter()
    state = filters.ChoiceFilter(choices=ClientDocument.State.choices)

    class Meta:
        model = ClientDocument
        fields: ClassVar[list[str]] = []


def _with_agent(endpoint: Resource, values: dict[str, Any]) -> dict[str, Any]:
    """Find the agent that a body names, where it names one. Raises NotFound."""
    slug = values["agent"]
    agent = None if slug is None else endpoint.find(visibility.agents(endpoint.caller), slug=slug)
    return {**values, "agent": agent}


class _Hosts(Resource):
    shown = ClientHostSerializer
    subject = actions.HOST


class Hosts(_Hosts, Listing, CreateEndpoint):
    """List hosts whose clients need the person's consent alone, or propose one."""

    action = actions.PROPOSE
    filterset_class = ClientHostFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read a host, and find the agent that its clients join."""
        return _with_agent(self, super().read())


class HostDetail(_Hosts, Detail):
    """Show a host."""


class ConfirmHost(_Hosts, ActionEndpoint):
    """Put a host in force that another person proposed.

    For a shared agent a person who is responsible for it does; for personal agents, a platform admin or security
    approver.
    """

    action = actions.CONFIRM


class WithdrawHost(_Hosts, ActionEndpoint):
    """Drop what was proposed."""

    action = actions.WITHDRAW


class EndHost(_Hosts, ActionEndpoint):
    """Allow a host no longer; the sign-ins at its clients end."""

    action = actions.END


class _Documents(Resource):
    shown = ClientDocumentSerializer
    subject = actions.DOCUMENT


class Documents(_Documents, Listing, CreateEndpoint):
    """List the metadata documents that were read, or store one by hand."""

    action = actions.STORE
    filterset_class = ClientDocumentFilter
    ordering = ("-fetched_at", "-id")


class DocumentDetail(_Documents, Detail):
    """Show a metadata document."""


class ApproveDocument(_Documents, ActionEndpoint):
    """Let people sign in to a client that waits, by a shared agent or by a personal agent of each."""

    action = actions.APPROVE

    def read(self) -> dict[str, Any]:
        """Find the agent that the client joins."""
        return _with_agent(self, super().read())


class RefuseDocument(_Documents, ActionEndpoint):
    """Refuse a client that waits."""

    action = actions.REFUSE


ADDRESSES: Final = (
    ("client-hosts", Hosts, "client-hosts"),
    ("client-hosts/<uuid:key>", HostDetail, "client-host"),
    ("client-hosts/<uuid:key>/confirm", ConfirmHost, "client-host-confirm"),
    ("client-hosts/<uuid:key>/withdraw", WithdrawHost, "client-host-withdraw"),
    ("client-hosts/<uuid:key>/end", EndHost, "client-host-end"),
    ("client-documents", Documents, "client-documents"),
    ("client-documents/<int:key>", DocumentDetail, "client-document"),
    ("client-documents/<int:key>/approve", ApproveDocument, "client-document-approve"),
    ("client-documents/<int:key>/refuse", RefuseDocument, "client-document-refuse"),
)
"""Address, view and name of each, as the API mounts them."""
