"""Networks of systems over REST: what is proposed, in force and over, the actions of both people, and certificates."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.networks import actions, rules
from entitlements.networks.models import SystemNetwork
from entitlements.proposals.api import TwoPersonSerializer


class CertificateSerializer(OutputSerializer):
    """What is shown of a certificate."""

    subject = serializers.CharField()
    fingerprint = serializers.CharField(help_text="SHA-256, in hexadecimal.")
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()


class ClientCertificateSerializer(OutputSerializer):
    """All that is ever shown of a client certificate."""

    subject = serializers.CharField()
    fingerprint = serializers.CharField(help_text="SHA-256, in hexadecimal.")
    ends_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class SystemNetworkSerializer(TwoPersonSerializer):
    """The private networks and the company CA of a system: who proposed them, and who confirmed them."""

    system = serializers.CharField(source="system.slug")
    prefixes = serializers.ListField(child=serializers.CharField())
    relayed = serializers.ListField(child=serializers.CharField(), help_text="What its connectors reach, as host:port.")
    company_ca = serializers.SerializerMethodField()

    @extend_schema_field(CertificateSerializer(many=True))
    def get_company_ca(self, row: SystemNetwork) -> list[dict[str, Any]]:
        """Return the certificates of the authorities that replace the public ones."""
        return [CertificateSerializer(asdict(each)).data for each in rules.authorities_of(row.company_ca)]


class SystemNetworkFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    state = filters.ChoiceFilter(choices=SystemNetwork.State.choices)

    class Meta:
        model = SystemNetwork
        fields: ClassVar[list[str]] = []


class _Networks(Resource):
    shown = SystemNetworkSerializer
    subject = actions.NETWORK


class Networks(_Networks, Listing):
    """List the networks of systems that you can see, proposed, in force and over."""

    filterset_class = SystemNetworkFilter
    ordering = ("-proposed_at", "-id")


class NetworkDetail(_Networks, Detail):
    """Show the network of a system."""


class Propose(ActionEndpoint):
    """Propose the private networks and the company CA of a system.

    They replace what is in force once another person has confirmed them.
    """

    action = actions.PROPOSE
    shown = SystemNetworkSerializer
    shows_result = True
    is_versioned = False
    answers = HTTPStatus.CREATED


class Confirm(_Networks, ActionEndpoint):
    """Confirm the proposed network of a system.

    Another person than the one who proposed it confirms: a platform admin or security approver.
    """

    action = actions.CONFIRM


class Withdraw(_Networks, ActionEndpoint):
    """Withdraw the proposed network of a system."""

    action = actions.WITHDRAW


class End(_Networks, ActionEndpoint):
    """End the network of a system. Its connections are closed at once."""

    action = actions.END


ADDRESSES: Final = (
    ("systems/<slug:key>/network", Propose, "system-network-propose"),
    ("system-networks", Networks, "system-networks"),
    ("system-networks/<uuid:key>", NetworkDetail, "system-network"),
    ("system-networks/<uuid:key>/confirm", Confirm, "system-network-confirm"),
    ("system-networks/<uuid:key>/withdraw", Withdraw, "system-network-withdraw"),
    ("system-networks/<uuid:key>/end", End, "system-network-end"),
)
