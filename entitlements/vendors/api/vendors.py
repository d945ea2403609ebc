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
    """Edit the terms of a vendor.

    Issuer, resources, how the vendor's server joins, whether anything is issued, and subjects.
    """

    action = actions.EDIT
    asked = serializers.TermsInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class ClientName(ActionEndpoint):
    """Set the identifier of a client at a vendor."""

    action = actions.NAME_CLIENT
    asked = serializers.ClientNameInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class PersonName(ActionEndpoint):
    """Set or delete the name by which a vendor knows a person."""

    action = actions.NAME_PERSON
    asked = serializers.PersonNameInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer

    def read(self) -> dict[str, Any]:
        """Read the name, and the person by login."""
        values = super().read()
        return {**values, "person": known_person(values["person"])}


class TestClient(ActionEndpoint):
    """Store a test client that is registered at a vendor.

    It is used for tests of trust. Its secret is never shown again.
    """

    action = actions.SET_TEST_CLIENT
    asked = serializers.TestClientInputSerializer
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer


class TestTrust(ActionEndpoint):
    """Test the trust of a vendor.

    An ID-JAG is redeemed at the vendor's server, step by step; the answer names what could not be tested.
    """

    action = actions.TEST_TRUST
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer
    durable = True
    is_versioned = False


class DeclareTools(ActionEndpoint):
    """Declare the tools of a vendor. For a vendor whose server lists none to Mandate. Each tool waits for approval."""

    action = actions.DECLARE_TOOLS
    asked = serializers.ToolsInputSerializer
    shown: ClassVar[type[OutputSerializer]] = DiscoverySerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with what is new, changed or gone."""
        return Response(asdict(performed.result))
