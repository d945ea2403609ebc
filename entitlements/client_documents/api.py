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
from entitlements.proposals.api import TwoPersonSerializer


class ClientHostSerializer(TwoPersonSerializer):
    """A host whose clients need the person's consent alone: who proposed it, and who accepts its clients."""

    host = serializers.CharField()
    serves = serializers.ChoiceField(choices=Client.Serves.choices)
    agent = serializers.CharField(source="agent.slug", default=None, allow_null=True)


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
    """List client hosts, and propose one.

    get: List client hosts. Clients of these hosts need the person's consent alone.
    post: Propose a client host. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = ClientHostFilter
    ordering = ("-proposed_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read a host, and find the agent that its clients join."""
        return _with_agent(self, super().read())


class HostDetail(_Hosts, Detail):
    """Show a client host."""


class ConfirmHost(_Hosts, ActionEndpoint):
    """Confirm a proposed client host.

    Another person than the one who proposed it confirms it: for a shared agent, a person responsible for that
    agent; for personal agents, a platform admin or security approver.
    """

    action = actions.CONFIRM


class WithdrawHost(_Hosts, ActionEndpoint):
    """Withdraw a proposed client host."""

    action = actions.WITHDRAW


class EndHost(_Hosts, ActionEndpoint):
    """End the permission of a client host. The sign-ins at its clients end at once."""

    action = actions.END


class _Documents(Resource):
    shown = ClientDocumentSerializer
    subject = actions.DOCUMENT


class Documents(_Documents, Listing, CreateEndpoint):
    """List client metadata documents, and store one.

    get: List client metadata documents.
    post: Store a client metadata document by hand.
    """

    action = actions.STORE
    filterset_class = ClientDocumentFilter
    ordering = ("-fetched_at", "-id")


class DocumentDetail(_Documents, Detail):
    """Show a client metadata document."""


class ApproveDocument(_Documents, ActionEndpoint):
    """Approve a client that waits for approval.

    People can then sign in to it, through a shared agent or through a personal agent of each.
    """

    action = actions.APPROVE

    def read(self) -> dict[str, Any]:
        """Find the agent that the client joins."""
        return _with_agent(self, super().read())


class RefuseDocument(_Documents, ActionEndpoint):
    """Refuse a client that waits for approval."""

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
