"""OAuth clients: list, register (its secret shown once), look, rotate the secret, disable, enable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import addresses
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Text
from entitlements.api.matrix import DECLARED
from entitlements.api.resources import Act, Detail, Listing, Resource
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import scopes
from entitlements.errors import Forbidden

from .credentials import CredentialSerializer

_WAITS: Final[Mapping[int, type[serializers.BaseSerializer[Any]]]] = {HTTPStatus.ACCEPTED: CredentialSerializer}
"""The other answer where a credential is made: it waits for acceptance."""


class BeyondOwnScopes(Forbidden):
    """You cannot give a client a scope that you do not have yourself. Leave that scope out."""

    code = "beyond_own_scopes"


def check_gives(caller: Caller, api_scopes: Iterable[str]) -> None:
    """Check that a caller may do all that these scopes of our API would open for a script. Raises BeyondOwnScopes."""
    lacking = [scope for scope in api_scopes if not permissions.holds(caller, DECLARED, scope)]
    if lacking:
        raise BeyondOwnScopes(scopes=lacking)


def check_may_hold(caller: Caller, client: Client) -> None:
    """Check that who gets a client's secret, or starts it, may do what a script may; an agent's reaches its own alone.

    Raises BeyondOwnScopes.
    """
    if client.agent_id is None:
        check_gives(caller, client.api_scopes)


class ClientFilter(filters.FilterSet):
    """Filters of the list."""

    agent = filters.CharFilter(field_name="agent__slug")
    status = filters.ChoiceFilter(choices=Client.Status.choices)
    idle = filters.ChoiceFilter(choices=Client.Idle.choices)

    class Meta:
        model = Client
        fields: ClassVar[list[str]] = []


class ClientSerializer(OutputSerializer):
    """A client. `secret` is shown in the answer that makes or rotates it and never again."""

    client_id = serializers.CharField()
    name = serializers.CharField()
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    auth = serializers.ChoiceField(choices=Client.Auth.choices)
    status = serializers.ChoiceField(choices=Client.Status.choices)
    idle = serializers.ChoiceField(choices=Client.Idle.choices, allow_blank=True)
    idle_since = serializers.DateTimeField(allow_null=True)
    jwks = serializers.JSONField()
    redirect_uris = serializers.SerializerMethodField()
    api_scopes = serializers.ListField(child=serializers.CharField())
    secret = serializers.SerializerMethodField()

    def get_redirect_uris(self, client: Client) -> list[str]:
        """List the addresses."""
        return str(client.redirect_uris).split()

    def get_secret(self, client: Client) -> str | None:  # noqa: ARG002 - the framework's signature
        """Return the new secret, in the one answer that has it."""
        secret: str | None = self.context.get("secret")
        return secret


class ClientInputSerializer(InputSerializer):
    """A new client: of an agent, or (without one) a script of the platform."""

    client_id = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,98}$")
    agent = Text(max_length=64, allow_null=True, default=None)
    auth = serializers.ChoiceField(choices=Client.Auth.choices, default=Client.Auth.PRIVATE_KEY_JWT)
    name = Text(max_length=200, default="", allow_blank=True)
    jwks = serializers.DictField(allow_null=True, default=None)
    redirect_uris = serializers.ListField(child=serializers.URLField(max_length=500), default=list, max_length=20)
    api_scopes = serializers.ListField(child=Text(max_length=128), default=list, max_length=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check that a method has its credential, and that scopes are of our own API."""
        keys = (attrs["jwks"] or {}).get("keys", [])
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise serializers.ValidationError({"jwks": "A key set holds a list of keys, each an object (RFC 7517)."})
        has_keys = bool(keys)
        if (attrs["auth"] == Client.Auth.PRIVATE_KEY_JWT) != has_keys:
            raise serializers.ValidationError({"jwks": "Public keys go with private_key_jwt, and with nothing else."})
        if any(scopes.system_of(scope) != addresses.MANDATE for scope in attrs["api_scopes"]):
            raise serializers.ValidationError({"api_scopes": "These are scopes of Mandate's own API."})
        return attrs


def _answer(registered: clients.Registered, context: Mapping[str, Any], status: HTTPStatus) -> Response:
    """Show a client with its new secret once; 202 and the credential where that waits for acceptance."""
    once = {**context, "secret": registered.secret}
    if registered.waiting is not None:
        return Response(CredentialSerializer(registered.waiting, context=once).data, status=HTTPStatus.ACCEPTED)
    return Response(ClientSerializer(registered.client, context=once).data, status=status)


class _Clients(Resource):
    shown = ClientSerializer
    lookup = "client_id"

    def rows(self) -> QuerySet[Client]:
        return visibility.clients(self.caller)

    def links(self, client: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"client:{client.client_id}", *([f"agent:{client.agent.slug}"] if client.agent else [])]


class Clients(_Clients, Listing):
    """List clients, or register one."""

    filterset_class = ClientFilter
    ordering = ("client_id",)
    asked = ClientInputSerializer
    answers = HTTPStatus.CREATED
    answers_also: ClassVar = _WAITS
    shown_once = frozenset({"secret"})

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Register a client. Of an agent, by others than its sponsor and owners: it waits for acceptance (202)."""
        values = self.body(ClientInputSerializer)
        slug = values.pop("agent")
        agent = self.find(visibility.agents(self.caller), slug=slug) if slug else None
        self.permit(agent, *([f"agent:{agent.slug}"] if agent else []))
        check_gives(self.caller, values["api_scopes"])
        registered = clients.register(values.pop("client_id"), agent=agent, by=self.principal, **values)
        return _answer(registered, self.get_serializer_context(), HTTPStatus.CREATED)


class One(_Clients, Detail):
    """Show a client."""


class Disable(_Clients, Act):
    """Stop a client at once; its tokens die."""

    verb = staticmethod(clients.disable)


class Rotate(_Clients):
    """Give a client another secret, shown in this answer alone; the one before opens nothing once this one works.

    A secret of an agent's client waits for acceptance (202), unless a person responsible for the agent asks for it.
    """

    asked = ReasonInputSerializer
    answers_also: ClassVar = _WAITS
    shown_once = frozenset({"secret"})

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Rotate the secret."""
        client = self.find_row()
        self.permit(client, *self.links(client))
        check_may_hold(self.caller, client)
        rotated = clients.rotate_secret(client, by=self.principal, reason=self.body(ReasonInputSerializer)["reason"])
        return _answer(rotated, self.get_serializer_context(), HTTPStatus.OK)


class Enable(_Clients, Act):
    """Enable a client that is disabled or was closed for lack of use. It needs new tokens."""

    verb = staticmethod(clients.enable)

    def check(self, row: Client) -> None:
        """Check that the caller has the scopes of the client."""
        check_may_hold(self.caller, row)
