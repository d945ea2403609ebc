"""Connectors over REST: which a system has, the code of a new one, its enrolment, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import transaction
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import ratelimits
from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.connectors import actions, connectors
from entitlements.connectors.models import Connector


class ConnectorSerializer(OutputSerializer):
    """A connector of a system: its state, its key by thumbprint, and which nodes hold a connection of it."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=Connector.State.choices)
    reason = serializers.CharField()
    created_by = serializers.CharField(source="created_by.login", default=None, allow_null=True)
    created_at = serializers.DateTimeField()
    code_ends_at = serializers.DateTimeField(help_text="Until when its code can be used, while it waits for enrolment.")
    thumbprint = serializers.CharField(help_text="Of its key (RFC 7638). Empty before it is enrolled.")
    enrolled_at = serializers.DateTimeField(allow_null=True)
    seen_at = serializers.DateTimeField(allow_null=True)
    nodes = serializers.DictField(
        child=serializers.DateTimeField(), help_text="By node, when it last held a connection."
    )
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoke_reason = serializers.CharField()


class NewConnectorSerializer(ConnectorSerializer):
    """A new connector with its one-time code, in the one answer that has it."""

    code = serializers.CharField(default=None, allow_null=True, help_text="Shown this once; it lasts for an hour.")


class EnrolmentInputSerializer(InputSerializer):
    """The one-time code, and the Ed25519 public key that the connector made: the member `x` of its JWK (RFC 8037)."""

    code = Text(max_length=200, write_only=True)
    public_key = Text(max_length=64)


class EnrolmentSerializer(OutputSerializer):
    """What a connector keeps beside its key."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    thumbprint = serializers.CharField()
    gateway = serializers.CharField(help_text="Where the gateway is, unless its nodes have addresses of their own.")


class ConnectorFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    state = filters.ChoiceFilter(choices=Connector.State.choices)

    class Meta:
        model = Connector
        fields: ClassVar[list[str]] = []


class _Connectors(Resource):
    shown = ConnectorSerializer
    subject = actions.CONNECTOR


class Connectors(_Connectors, Listing):
    """List the connectors of systems that you can see.

    Those that were revoked are among them.
    """

    filterset_class = ConnectorFilter
    ordering = ("-created_at", "-id")


class ConnectorDetail(_Connectors, Detail):
    """Show a connector."""


class Add(ActionEndpoint):
    """Make a connector of a system. Its one-time code is shown in this answer alone."""

    action = actions.ADD
    shown = NewConnectorSerializer
    is_versioned = False
    answers = HTTPStatus.CREATED
    shown_once = frozenset({"code"})

    def answer(self, performed: Performed) -> Response:
        """Answer with the connector and its code."""
        made = performed.result
        made.connector.code = made.code
        return self.show(made.connector, status=self.answers)


class Revoke(_Connectors, ActionEndpoint):
    """Revoke a connector. Every node cuts its connections at once."""

    action = actions.REVOKE


@dataclass(frozen=True, slots=True)
class _Enrolled:
    id: object
    system: object
    thumbprint: str
    gateway: str


class Enrol(Endpoint):
    """Enrol a connector by its one-time code, with the key that it made itself. The code is the only credential."""

    asked: ClassVar = EnrolmentInputSerializer
    shown: ClassVar = EnrolmentSerializer
    answers: ClassVar[int] = HTTPStatus.CREATED
    answers_also: ClassVar[Mapping[int, Any]] = {}

    @extend_schema(request=EnrolmentInputSerializer, responses={HTTPStatus.CREATED: EnrolmentSerializer})
    def post(self, request: Request) -> Response:
        """Enrol it. Raises TooMany, EnrolmentRefused, BadKey."""
        ratelimits.check(ratelimits.REGISTRATIONS, f"connector:{request.META.get('REMOTE_ADDR', '')}")
        given = self.body(EnrolmentInputSerializer)
        with transaction.atomic():
            row = connectors.enrol(**given)
        enrolled = _Enrolled(row.pk, row.system, row.thumbprint, settings.GATEWAY_URL)
        return Response(EnrolmentSerializer(enrolled).data, status=HTTPStatus.CREATED)


ADDRESSES: Final = (
    ("systems/<slug:key>/connectors", Add, "system-connector-add"),
    ("connectors", Connectors, "connectors"),
    ("connectors/enrol", Enrol, "connector-enrol"),
    ("connectors/<uuid:key>", ConnectorDetail, "connector"),
    ("connectors/<uuid:key>/revoke", Revoke, "connector-revoke"),
)
