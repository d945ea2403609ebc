"""Systems: list, register, look, edit, discover, disable, enable, and the credential that is only ever written."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import addresses
from entitlements.access import visibility
from entitlements.api import preconditions
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.api.resources import Act, Detail, Listing, Resource
from entitlements.catalog import discovery, systems
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.people.api import known_person
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from entitlements.upstream import reach, upstream

KINDS = [choice for choice in System.Kind.choices if choice[0] != System.Kind.BUILTIN]


class SystemFilter(filters.FilterSet):
    """Filters of the list."""

    kind = filters.ChoiceFilter(choices=System.Kind.choices)
    status = filters.ChoiceFilter(choices=System.Status.choices)
    owner = filters.CharFilter(field_name="owner__login")

    class Meta:
        model = System
        fields: ClassVar[list[str]] = []


class SecretSerializer(OutputSerializer):
    """All that is ever shown of a credential."""

    kind = serializers.CharField()
    header = serializers.CharField()
    last_four = serializers.CharField()
    fingerprint = serializers.CharField()
    changed_at = serializers.DateTimeField()
    withheld_at = serializers.DateTimeField(allow_null=True, help_text="When Mandate stopped sending it.")


class SystemSerializer(OutputSerializer):
    """A system, with the addresses that clients need."""

    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=System.Kind.choices)
    owner = serializers.CharField(source="owner.login", allow_null=True, default=None)
    upstream_url = serializers.CharField()
    resource = serializers.SerializerMethodField()
    issuer = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=System.Status.choices)
    denial_shape = serializers.ChoiceField(choices=System.DenialShape.choices)
    token_seconds = serializers.IntegerField()
    discovered_at = serializers.DateTimeField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    ask_again_at = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField()
    problem = serializers.CharField()
    secret = SecretSerializer(allow_null=True, default=None)

    def get_resource(self, system: System) -> str:
        """Return the resource identifier (RFC 8707)."""
        return addresses.resources(system)[0]

    def get_issuer(self, system: System) -> str:
        """Return the issuer of its tokens."""
        return addresses.issuer(addresses.issuer_path(system.slug))


class SystemInputSerializer(InputSerializer):
    """A new system."""

    slug = Slug(max_length=63)
    name = Text(max_length=200)
    kind = serializers.ChoiceField(choices=KINDS)
    owner = Text(max_length=64)
    upstream_url = Text(max_length=500, default="", allow_blank=True)
    denial_shape = serializers.ChoiceField(choices=System.DenialShape.choices, required=False)
    token_seconds = serializers.IntegerField(min_value=1, max_value=300, required=False)


class SystemChangesInputSerializer(InputSerializer):
    """What can be edited; another owner or address needs a reason."""

    name = Text(max_length=200, required=False)
    owner = Text(max_length=64, required=False)
    upstream_url = Text(max_length=500, required=False)
    denial_shape = serializers.ChoiceField(choices=System.DenialShape.choices, required=False)
    token_seconds = serializers.IntegerField(min_value=1, max_value=300, required=False)
    reason = Text(max_length=500, required=False)


class SecretInputSerializer(InputSerializer):
    """A credential, written and never read again."""

    kind = serializers.ChoiceField(choices=Secret.Kind.choices, default=Secret.Kind.BEARER)
    header = Text(max_length=64, default="Authorization")
    value = Text(max_length=8192, trim_whitespace=False, write_only=True)


@dataclass(slots=True)
class TestResult:
    """How a try went."""

    reached: bool = True
    tools: int = 0
    stage: str | None = None
    code: str | None = None
    detail: str | None = None
    milliseconds: int = 0


class TestSerializer(OutputSerializer):
    """How a try went: reached, with so many tools; or the stage at which it failed, with a code and a sentence."""

    reached = serializers.BooleanField()
    tools = serializers.IntegerField()
    stage = serializers.ChoiceField(choices=[stage.value for stage in reach.Stage], allow_null=True)
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    milliseconds = serializers.IntegerField()


class DiscoverySerializer(OutputSerializer):
    """What a discovery found, by tool name."""

    added = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.CharField())
    quarantined = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    returned = serializers.ListField(child=serializers.CharField())
    malformed = serializers.DictField(child=serializers.CharField())


class _Systems(Resource):
    shown: ClassVar[type[OutputSerializer]] = SystemSerializer
    lookup = "slug"

    def rows(self) -> QuerySet[System]:
        return visibility.systems(self.caller)

    def links(self, system: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"system:{system.slug}"]


class Systems(_Systems, Listing):
    """List systems, or register one."""

    filterset_class = SystemFilter
    ordering = ("slug",)
    asked = SystemInputSerializer
    answers = HTTPStatus.CREATED

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Register a system."""
        values = self.body(SystemInputSerializer)
        owner = known_person(values.pop("owner"))
        system = systems.register_system(values.pop("slug"), owner=owner, by=self.principal, **values)
        return self.again(system, status=HTTPStatus.CREATED)


class One(_Systems, Detail):
    """Show a system, or edit it."""

    asked = SystemChangesInputSerializer

    def patch(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Edit it, from the version that If-Match names."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        preconditions.require(request, system.version)
        values = self.body(SystemChangesInputSerializer)
        if "owner" in values:
            values["owner"] = known_person(values["owner"])
        systems.edit_system(system, by=self.principal, version=system.version, **values)
        return self.again(system)


class Discover(_Systems):
    """Ask the system for its tools now, and compare them with the pins."""

    shown = DiscoverySerializer
    durable = True

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Discover; the network is asked before the transaction begins. A list that breaks off is kept that far."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        try:
            raw = asyncio.run(upstream.discover(system))
        except DomainError as refusal:
            if isinstance(refusal, upstream.PartialList):
                discovery.record_discovery(system, refusal.listed, by=self.principal, complete=False)
            refusal.detail["stage"] = reach.stage(refusal).value
            raise
        result = discovery.record_discovery(system, raw, by=self.principal)
        return Response(asdict(result))


class Test(_Systems):
    """Try whether a system answers with its tools, and say at which stage it failed. Nothing is stored or recorded."""

    shown = TestSerializer
    durable = True

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Try to list the tools of the system, and report how it went."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        began, result = time.monotonic(), TestResult()
        try:
            result.tools = len(asyncio.run(upstream.discover(system)))
        except DomainError as refusal:
            stage = reach.stage(refusal).value
            result = TestResult(reached=False, stage=stage, code=str(refusal.code), detail=refusal.message)
        result.milliseconds = int((time.monotonic() - began) * 1000)
        return Response(asdict(result))


class Disable(_Systems, Act):
    """Stop a system at once: no token for it, no call to it."""

    verb = staticmethod(systems.disable_system)


class Enable(_Systems, Act):
    """Enable a disabled system. The person who disabled it cannot."""

    verb = staticmethod(systems.enable_system)


class Credential(_Systems):
    """Store the credential that the gateway sends upstream. It is never shown again."""

    asked = SecretInputSerializer

    def put(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Store the credential."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        vault.set_secret(system, by=self.principal, **self.body(SecretInputSerializer))
        return self.again(system)
