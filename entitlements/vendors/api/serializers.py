"""How vendors are written and shown over REST."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.vendors import queries, rules, trust, vendors
from entitlements.vendors.models import Vendor

WAYS: Final = [*((way.value, way.label) for way in rules.WayToJoin), (vendors.GATEWAY, "Through the gateway")]
"""How a vendor may join. The last is refused with a sentence that leads to the kind `mcp_gateway`."""
TERMS: Final = (
    *("issuer", "resources", "joins", "issues", "subjects", "scope_names", "extra_claims"),
    "client_ids",
)
"""The fields of a new system that are about its vendor."""


class StepSerializer(OutputSerializer):
    """One step of a test of trust."""

    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in trust.Outcome])
    sentence = serializers.CharField()


class TestClientSerializer(OutputSerializer):
    """The test client, by what may be shown of it."""

    client_id = serializers.CharField(source="test_client_id")
    fingerprint = serializers.CharField(source="test_fingerprint")


class VendorSerializer(OutputSerializer):
    """What is agreed with a vendor, and how the last test of trust went."""

    issuer = serializers.CharField()
    resources = serializers.ListField(child=serializers.CharField())
    joins = serializers.ChoiceField(choices=[way.value for way in rules.WayToJoin])
    issues = serializers.BooleanField(help_text="Whether ID-JAGs are issued for it at all.")
    subjects = serializers.ChoiceField(choices=[each.value for each in rules.Subjects])
    scope_names = serializers.ChoiceField(choices=[each.value for each in rules.ScopeNames])
    extra_claims = serializers.ListField(child=serializers.CharField())
    client_ids = serializers.SerializerMethodField()
    test_client = serializers.SerializerMethodField()
    trust_test = StepSerializer(many=True, allow_null=True)
    tested_at = serializers.DateTimeField(allow_null=True)

    def get_client_ids(self, vendor: Vendor) -> dict[str, str]:
        """Return the clients' identifiers at its server, by ours (EMA-I-10)."""
        return queries.client_ids(vendor.system)

    def get_test_client(self, vendor: Vendor) -> dict[str, Any] | None:
        """Return the test client, if there is one."""
        return TestClientSerializer(vendor).data if vendor.test_client_id else None


class TermsFields(InputSerializer):
    """What is agreed with a vendor."""

    issuer = Text(max_length=500, required=False)
    resources = serializers.ListField(child=Text(max_length=500), required=False, max_length=vendors.MOST_RESOURCES)
    joins = serializers.ChoiceField(choices=WAYS, required=False)
    issues = serializers.BooleanField(required=False)
    subjects = serializers.ChoiceField(choices=[(each.value, each.label) for each in rules.Subjects], required=False)
    scope_names = serializers.ChoiceField(
        choices=[(each.value, each.label) for each in rules.ScopeNames], required=False
    )
    extra_claims = serializers.ListField(
        child=serializers.ChoiceField(choices=rules.EXTRA_CLAIMS), required=False, max_length=len(rules.EXTRA_CLAIMS)
    )


class TermsInputSerializer(TermsFields):
    """What changes; another issuer, resource or way to join needs a reason."""

    reason = Text(max_length=500, required=False)


class ClientNameInputSerializer(InputSerializer):
    """Under which identifier the vendor's server knows a client."""

    client_id = Text(max_length=1000)
    foreign_id = Text(max_length=300)


class PersonNameInputSerializer(InputSerializer):
    """By which name the vendor knows a person; an empty one is forgotten."""

    person = Text(max_length=64)
    subject = Text(max_length=255, allow_blank=True)


class TestClientInputSerializer(InputSerializer):
    """A client that is registered at the vendor for tests; its secret is written and never read again."""

    client_id = Text(max_length=300)
    value = Text(max_length=8192, trim_whitespace=False, write_only=True)


class ToolsInputSerializer(InputSerializer):
    """The vendor's tools as its server would list them: objects with `name`, `description` and `inputSchema`."""

    tools = serializers.ListField(child=serializers.DictField(), max_length=2000, allow_empty=False)
