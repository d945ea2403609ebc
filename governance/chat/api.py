"""Chat services over REST: connect one, choose whether messages show names, send a test, disconnect."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.chat import actions
from governance.chat.models import ChatConnection
from governance.notices.api import DeliverySerializer


class ChatConnectionSerializer(OutputSerializer):
    """One connected chat service. Its secrets are never shown; `error` is its last refusal."""

    service = serializers.ChoiceField(choices=ChatConnection.Service.choices)
    name = serializers.CharField()
    app_id = serializers.CharField()
    tenant = serializers.CharField()
    socket_mode = serializers.SerializerMethodField()
    names_shown = serializers.BooleanField()
    error = serializers.CharField()
    error_at = serializers.DateTimeField(allow_null=True)
    paused_until = serializers.DateTimeField(allow_null=True)
    made_at = serializers.DateTimeField()

    def get_socket_mode(self, connection: ChatConnection) -> bool:
        """Whether it has an app-level token."""
        return connection.sealed_app_token is not None


class ChatConnectionFilter(filters.FilterSet):
    """Filters by service."""

    service = filters.ChoiceFilter(choices=ChatConnection.Service.choices)

    class Meta:
        model = ChatConnection
        fields: ClassVar[list[str]] = []


class _ChatResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = actions.CONNECTION
    shown: ClassVar[type[OutputSerializer]] = ChatConnectionSerializer


class ChatConnections(_ChatResource, Listing):
    """List connected chat services."""

    filterset_class = ChatConnectionFilter
    ordering = ("service",)


class ChatConnectionDetail(_ChatResource, Detail):
    """Show a connected chat service."""


class ConnectSlack(_ChatResource, CreateEndpoint):
    """Connect Slack, or replace its tokens. They are tried first, stored sealed, and never shown."""

    action = actions.CONNECT_SLACK


class ConnectTeams(_ChatResource, CreateEndpoint):
    """Connect Microsoft Teams, or replace its secret. It is tried first, stored sealed, and never shown."""

    action = actions.CONNECT_TEAMS


class ShowNames(_ChatResource, ActionEndpoint):
    """Choose whether messages name agents, people, entitlements and reviews."""

    action = actions.NAMES


class TestChatConnection(_ChatResource, ActionEndpoint):
    """Send yourself a test message."""

    action = actions.TEST
    shows_result = True
    shown = DeliverySerializer


class Disconnect(_ChatResource, ActionEndpoint):
    """Disconnect a chat service. Its secrets are deleted, and what waits for it is dropped."""

    action = actions.DISCONNECT
    shows_result = True
