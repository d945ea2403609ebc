"""What people do about the network of a system: each action declared once, for API and console."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api.actions import Action, Subject, person
from entitlements.api.fields import InputSerializer, Text
from entitlements.catalog.actions import SYSTEM
from entitlements.networks import certificates, networks, rules
from entitlements.networks.models import SystemNetwork


def _system(row: SystemNetwork) -> object:
    return row.system


class NetworkInputSerializer(InputSerializer):
    """What is proposed: private networks in CIDR notation, the company's certificate authority as PEM, or both."""

    prefixes = serializers.ListField(child=Text(max_length=50), max_length=rules.MOST_PREFIXES, default=list)
    company_ca = Text(max_length=rules.LONGEST_PEM, default="", allow_blank=True)
    relayed = serializers.ListField(
        child=Text(max_length=300),
        max_length=rules.MOST_RELAYED,
        default=list,
        help_text="Each host:port that the connectors of the system reach for it, in the place of prefixes.",
    )
    reason = Text(max_length=500)


class ClientCertificateInputSerializer(InputSerializer):
    """A certificate chain and its private key as PEM; the key is written and never read again."""

    chain = Text(max_length=rules.LONGEST_PEM)
    key = Text(max_length=16_384, write_only=True)


NETWORK = Subject(visibility.system_networks, networks.KIND.about, permitted_on=_system, by=person, by_key=True)

PROPOSE = Action(
    "system-network-propose",
    SYSTEM,
    networks.propose,
    input=NetworkInputSerializer,
    by=person,
    done=_("Proposed. Another person, who is platform admin or security approver, confirms it."),
)
CONFIRM = Action(
    "system-network-confirm", NETWORK, networks.KIND.confirm, input=None, done=_("Confirmed. It is in force.")
)
WITHDRAW = Action("system-network-withdraw", NETWORK, networks.KIND.withdraw, done=_("Withdrawn."))
END = Action("system-network-end", NETWORK, networks.KIND.end, done=_("Ended. Its connections are closed."))
SET_CERTIFICATE = Action(
    "system-client-certificate",
    SYSTEM,
    certificates.set_certificate,
    input=ClientCertificateInputSerializer,
    method="PUT",
    done=_("Stored. Its key is never shown again."),
)
FORGET_CERTIFICATE = Action(
    "system-client-certificate-forget", SYSTEM, certificates.forget, done=_("The client certificate is deleted.")
)
