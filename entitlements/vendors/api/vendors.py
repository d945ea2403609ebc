"""What is agreed with a vendor, who is called what there, its tools, and whether it trusts our issuer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, EditEndpoint
from entitlements.catalog.api.systems import DiscoverySerializer, SystemSerializer
from entitlements.people.api import known_person
from entitlements.vendors import actions

from . import serializers


class Terms(EditEndpoint):
    """Edit what is agreed with a vendor: issuer, resources, how it joins, whether anything is issued, subjects."""

    action = actions.EDIT
    asked = serializers.TermsInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class ClientName(ActionEndpoint):
    """Enter under which identifier the vendor's server knows a client."""

    action = actions.NAME_CLIENT
    asked = serializers.ClientNameInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class PersonName(ActionEndpoint):
    """Store by which name the vendor knows a person, or forget it."""

    action = actions.NAME_PERSON
    asked = serializers.PersonNameInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer

    def read(self) -> dict[str, Any]:
        """Read the name, and the person by login."""
        values = super().read()
        return {**values, "person": known_person(values["person"])}


class TestClient(ActionEndpoint):
    """Store a client that is registered at the vendor for tests of trust. Its secret is never shown again."""

    action = actions.SET_TEST_CLIENT
    asked = serializers.TestClientInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class TestTrust(ActionEndpoint):
    """Redeem an ID-JAG at the vendor's server, step by step, and name what could not be tried."""

    action = actions.TEST_TRUST
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer
    durable = True
    is_versioned = False


class DeclareTools(ActionEndpoint):
    """Write down the vendor's tools, where its server lists none to us; each waits for its review."""

    action = actions.DECLARE_TOOLS
    asked = serializers.ToolsInputSerializer
    shown: ClassVar[type[OutputSerializer]] = DiscoverySerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with what is new, changed or gone."""
        return Response(asdict(performed.result))
