"""Systems: list, register, look, edit, discover, disable, enable, and the credential that is only ever written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import addresses
from entitlements.api.actions import Performed, person
from entitlements.api.fields import InputSerializer, OutputSerializer, Slug, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, EditEndpoint, Listing, Resource
from entitlements.catalog import actions
from entitlements.catalog.models import System
from entitlements.errors import DomainError
from entitlements.networks import actions as network_actions
from entitlements.networks.api import ClientCertificateSerializer
from entitlements.people.api import known_person
from entitlements.rest_apis import rest_apis
from entitlements.rest_apis.api import DocumentField, LargeJSON
from entitlements.secrets import kinds
from entitlements.secrets.models import Secret
from entitlements.stdio_commands import systems as stdio_systems
from entitlements.upstream import reach
from entitlements.vendors.api.serializers import TERMS, TermsFields, VendorSerializer
from entitlements.vendors.queries import issuer_of

KINDS = [choice for choice in System.Kind.choices if choice[0] != System.Kind.BUILTIN]
OF_KIND: Final[Mapping[str, set[str]]] = {
    System.Kind.MCP: {*TERMS},
    System.Kind.HTTP: {"openapi"},
    System.Kind.STDIO: {"command", "args", "shared"},
}
"""The fields of a new system that go with one kind alone."""
NEEDED: Final[Mapping[str, set[str]]] = {System.Kind.MCP: {"issuer", "resources"}, System.Kind.STDIO: {"command"}}
NOT_OF_KIND: Final[Mapping[str, set[str]]] = {
    System.Kind.MCP: {"denial_shape", "upstream_url"},
    System.Kind.STDIO: {"upstream_url"},
    System.Kind.KNOWN: {"denial_shape", "upstream_url"},
}


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
    settings = serializers.DictField(child=serializers.CharField(), help_text="All of it but the secret.")
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
    signing_algorithm = serializers.ChoiceField(choices=System.SigningAlgorithm.choices)
    discovered_at = serializers.DateTimeField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    ask_again_at = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField()
    problem = serializers.CharField()
    secret = SecretSerializer(allow_null=True, default=None)
    client_certificate = ClientCertificateSerializer(allow_null=True, default=None)
    vendor = VendorSerializer(allow_null=True, default=None)

    def get_resource(self, system: System) -> str:
        """Return the resource identifier (RFC 8707)."""
        return addresses.resources(system)[0]

    def get_issuer(self, system: System) -> str:
        """Return the issuer of its tokens."""
        return issuer_of(system)


class SystemInputSerializer(TermsFields):
    """A new system. Of the kind `mcp` it is a vendor's, with an authorization server; of `stdio`, it has a command.

    Of the kind `known` it is not behind the gateway: it has no address, and may have a policy domain.
    """

    slug = Slug(max_length=63)
    name = Text(max_length=200)
    kind = serializers.ChoiceField(choices=KINDS)
    owner = Text(max_length=64, required=False, help_text="A login. Without one, the person who registers it.")
    upstream_url = Text(max_length=500, default="", allow_blank=True)
    denial_shape = serializers.ChoiceField(choices=System.DenialShape.choices, required=False)
    token_seconds = serializers.IntegerField(min_value=1, max_value=300, required=False)
    signing_algorithm = serializers.ChoiceField(choices=System.SigningAlgorithm.choices, required=False)
    client_ids = serializers.DictField(child=Text(max_length=300), required=False)
    openapi = DocumentField(
        required=False, help_text="Of the kind http: the address of an OpenAPI document, or the document itself."
    )
    command = Slug(max_length=64, required=False, help_text="A command of the allow-list that is in force.")
    args = serializers.ListField(child=Text(max_length=500), max_length=40, required=False)
    shared = serializers.BooleanField(
        required=False,
        help_text="Whether all callers share one process, which the command has to allow. As the command says, if not.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that what is about a vendor, a command or an upstream goes with the kind of system."""
        kind = attrs["kind"]
        if kind in NOT_OF_KIND and not attrs["upstream_url"]:
            del attrs["upstream_url"]
        others = set().union(*(fields for of, fields in OF_KIND.items() if of != kind))
        out_of_place = (others | NOT_OF_KIND.get(kind, set())) & attrs.keys()
        wrong = dict.fromkeys(out_of_place, "This field does not go with this kind of system.")
        missing = NEEDED.get(kind, set()) - attrs.keys()
        wrong |= dict.fromkeys(missing, f"A system of the kind {kind} needs this field.")
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


class SystemChangesInputSerializer(InputSerializer):
    """What can be edited; another owner or address needs a reason."""

    name = Text(max_length=200, required=False)
    owner = Text(max_length=64, required=False)
    upstream_url = Text(max_length=500, required=False)
    denial_shape = serializers.ChoiceField(choices=System.DenialShape.choices, required=False)
    token_seconds = serializers.IntegerField(min_value=1, max_value=300, required=False)
    signing_algorithm = serializers.ChoiceField(choices=System.SigningAlgorithm.choices, required=False)
    reason = Text(max_length=500, required=False)


class CredentialSettingsSerializer(InputSerializer):
    """The settings of a credential. Which go with which kind, and which are needed, is said where they are wrong."""

    username = Text(max_length=500, required=False, trim_whitespace=False, help_text="Of `basic`.")
    client_id = Text(max_length=500, required=False, help_text="Of `oauth_client`; of `jwt_bearer`, who signs.")
    client_authentication = serializers.ChoiceField(
        choices=kinds.CLIENT_AUTHENTICATION, required=False, help_text="Of `oauth_client`."
    )
    subject = Text(max_length=500, required=False, help_text="Of `jwt_bearer`: for whom. Without it, the `client_id`.")
    issuer = Text(max_length=500, required=False, help_text="Whose metadata names the token endpoint (RFC 8414).")
    token_url = Text(max_length=500, required=False, help_text="The token endpoint, where there is no metadata.")
    scope = Text(max_length=500, required=False, help_text="Scopes, with spaces between them.")
    resource = Text(max_length=500, required=False, help_text="The resource that the token is for (RFC 8707).")
    token_network = serializers.ChoiceField(
        choices=kinds.TOKEN_NETWORKS,
        required=False,
        help_text="`system`: the token endpoint is reached over the private network of the system, by its company CA.",
    )
    audience = Text(max_length=500, required=False, help_text="Of a private key. Without it, issuer or endpoint.")
    algorithm = Text(max_length=16, required=False, help_text="Of a private key. Without it, the usual one of the key.")
    key_id = Text(max_length=500, required=False, help_text="Of a private key. Without it, its thumbprint (RFC 7638).")
    access_key_id = Text(max_length=128, required=False, help_text="Of `aws_sigv4`.")
    region = Text(max_length=64, required=False, help_text="Of `aws_sigv4`.")
    service = Text(max_length=64, required=False, help_text="Of `aws_sigv4`, as AWS names it in signatures.")


class SecretInputSerializer(InputSerializer):
    """A credential, written and never read again. Its `value` is a token, a password, a secret or a private key."""

    kind = serializers.ChoiceField(
        choices=[*Secret.Kind.choices, (actions.NO_CREDENTIAL, "None")], default=Secret.Kind.BEARER
    )
    header = Text(max_length=64, default="Authorization")
    value = Text(
        max_length=8192,
        trim_whitespace=False,
        write_only=True,
        required=False,
        help_text="Needed unless the kind is `none`. A private key is PEM or a JSON Web Key.",
    )
    settings = CredentialSettingsSerializer(required=False)
    keep_previous = serializers.BooleanField(default=False)


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
    subject = actions.SYSTEM


class Systems(_Systems, Listing, CreateEndpoint):
    """List systems, and register one.

    get: List the systems that you can see.
    post: Register a system.
    """

    action = actions.REGISTER
    parser_classes = (LargeJSON,)  # type: ignore[assignment]  # wider than the base's
    asked = SystemInputSerializer
    filterset_class = SystemFilter
    ordering = ("slug",)

    def read(self) -> dict[str, Any]:
        """Read the system, and its owner by login. Raises Forbidden for a script that names none."""
        values = super().read()
        owner = known_person(values["owner"]) if "owner" in values else person(self.caller)
        document = {"source": values.pop("openapi")} if "openapi" in values else {}
        return {**values, "owner": owner, **document}


class One(_Systems, Detail, EditEndpoint):
    """Show a system, and edit it.

    get: Show a system.
    patch: Edit a system.
    """

    action = actions.EDIT
    asked = SystemChangesInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the changes, and the owner by login."""
        values = super().read()
        return {**values, "owner": known_person(values["owner"])} if "owner" in values else values


class Discover(_Systems, ActionEndpoint):
    """Read the tools of a system now.

    They are compared with the pinned definitions: a tool that changed is quarantined, and a new one waits for
    approval.
    """

    action = actions.DISCOVER
    shown = DiscoverySerializer
    durable = True

    def answer(self, performed: Performed) -> Response:
        """Answer with what was found; the network was asked before the transaction began."""
        return Response(asdict(performed.result.found))


class Test(_Systems):
    """Test whether a system answers with its tools.

    The answer names the stage that failed. Nothing is stored or recorded.
    """

    shown = TestSerializer
    durable = True

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Try to list the tools of the system, and report how it went."""
        system = self.find_row()
        self.permit(system, *self.links(system))
        began, result = time.monotonic(), TestResult()
        try:
            result.tools = _count_tools(system)
        except DomainError as refusal:
            stage = reach.stage(refusal).value
            result = TestResult(reached=False, stage=stage, code=str(refusal.code), detail=refusal.message)
        result.milliseconds = int((time.monotonic() - began) * 1000)
        return Response(asdict(result))


def _count_tools(system: System) -> int:
    """Ask a system, or of a REST API its document, how many tools there are. Raises as each does."""
    if system.kind == System.Kind.HTTP:
        return rest_apis.look(system)
    return len(asyncio.run(stdio_systems.discover(system)))


class Disable(_Systems, ActionEndpoint):
    """Disable a system at once. No token is issued for it, and no call reaches it."""

    action = actions.DISABLE


class Enable(_Systems, ActionEndpoint):
    """Enable a disabled system. The person who disabled it cannot enable it."""

    action = actions.ENABLE


class Credential(_Systems, ActionEndpoint):
    """Store the credential that the gateway sends to a system.

    It is never shown again.

    With `keep_previous` the one before is sent where the system refuses the new one, until the overlap ends.
    """

    action = actions.SET_SECRET
    asked = SecretInputSerializer


class SetCertificate(_Systems, ActionEndpoint):
    """Store the client certificate for a system.

    The gateway shows it to the system over TLS. Its private key is never shown again.
    """

    action = network_actions.SET_CERTIFICATE


class ForgetCertificate(_Systems, ActionEndpoint):
    """Delete the client certificate of a system. Its connections are closed at once."""

    action = network_actions.FORGET_CERTIFICATE
