"""OAuth clients: list, register (its secret shown once), look, rotate the secret, disable, enable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import permissions
from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.clients import actions, clients
from entitlements.clients.models import Client
from entitlements.errors import Forbidden
from entitlements.permissions.matrix import DECLARED

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
    serves = filters.ChoiceFilter(choices=Client.Serves.choices)
    status = filters.ChoiceFilter(choices=Client.Status.choices)
    idle = filters.ChoiceFilter(choices=Client.Idle.choices)

    class Meta:
        model = Client
        fields: ClassVar[list[str]] = []


class ClientSerializer(OutputSerializer):
    """A client. `secret` is shown in the answer that makes or rotates it and never again.

    `name_is_claimed`: nothing proves that the client is the one it names.
    """

    client_id = serializers.CharField()
    name = serializers.CharField()
    name_is_claimed = serializers.BooleanField()
    serves = serializers.ChoiceField(choices=Client.Serves.choices)
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    auth = serializers.ChoiceField(choices=Client.Auth.choices)
    status = serializers.ChoiceField(choices=Client.Status.choices)
    idle = serializers.ChoiceField(choices=Client.Idle.choices, allow_blank=True)
    idle_since = serializers.DateTimeField(allow_null=True)
    jwks = serializers.JSONField()
    redirect_uris = serializers.SerializerMethodField()
    api_scopes = serializers.ListField(child=serializers.CharField())
    credential_made_at = serializers.DateTimeField()
    previous_ends_at = serializers.DateTimeField(allow_null=True)
    secret = serializers.SerializerMethodField()

    def get_redirect_uris(self, client: Client) -> list[str]:
        """List the addresses."""
        return str(client.redirect_uris).split()

    def get_secret(self, client: Client) -> str | None:  # noqa: ARG002 - the framework's signature
        """Return the new secret, in the one answer that has it."""
        secret: str | None = self.context.get("secret")
        return secret


def _answer(registered: clients.Registered, context: Mapping[str, Any], status: HTTPStatus) -> Response:
    """Show a client with its new secret once; 202 and the credential where that waits for acceptance."""
    once = {**context, "secret": registered.secret}
    if registered.waiting is not None:
        return Response(CredentialSerializer(registered.waiting, context=once).data, status=HTTPStatus.ACCEPTED)
    return Response(ClientSerializer(registered.client, context=once).data, status=status)


class _Clients(Resource):
    shown = ClientSerializer
    subject = actions.CLIENT


class Clients(_Clients, Listing, CreateEndpoint):
    """List clients, and register one.

    get: List the clients that you can see.
    post: Register a client. Its secret, if it has one, is shown in this answer alone.
    """

    filterset_class = ClientFilter
    ordering = ("client_id",)
    action = actions.REGISTER
    answers_also: ClassVar = _WAITS
    shown_once = frozenset({"secret"})

    def read(self) -> dict[str, Any]:
        """Read the client, and find its agent, to which the caller must have a right."""
        values = super().read()
        slug = values["agent"]
        if slug is None and values["auth"] == Client.Auth.WORKLOAD_IDENTITY:
            raise serializers.ValidationError({"agent": "Workload identity is of an agent's client. Name the agent."})
        agent = self.find(visibility.agents(self.caller), slug=slug) if slug else None
        self.permit(agent, *([f"agent:{agent.slug}"] if agent else []))
        check_gives(self.caller, values["api_scopes"])
        return {**values, "agent": agent}

    def answer(self, performed: Performed) -> Response:
        """Answer with the client. Of an agent, by others than its sponsor and owners: it waits (202)."""
        return _answer(performed.result, self.get_serializer_context(), HTTPStatus.CREATED)


class One(_Clients, Detail):
    """Show a client."""


class Disable(_Clients, ActionEndpoint):
    """Disable a client at once. Its tokens are refused from now on."""

    action = actions.DISABLE


class Rotate(_Clients, ActionEndpoint):
    """Rotate the secret of a client.

    The new secret is shown in this answer alone; the one before is refused once the new one is used.

    With `keep_previous` the one before works until the overlap of the credential policy ends. A secret of an agent's
    client waits for acceptance (202), unless a person responsible for the agent asks for it.
    """

    action = actions.ROTATE
    answers_also: ClassVar = _WAITS
    shown_once = frozenset({"secret"})

    def check(self, row: Client) -> None:
        """Check that the caller has the scopes of the client."""
        check_may_hold(self.caller, row)

    def answer(self, performed: Performed) -> Response:
        """Answer with the secret, or with the credential that waits."""
        return _answer(performed.result, self.get_serializer_context(), HTTPStatus.OK)


class Keys(Rotate):
    """Replace the public keys of a client.

    The keys before are refused once the new ones are used, or after the overlap.

    Keys of an agent's client wait for acceptance (202), unless a person responsible for the agent sends them.
    """

    action = actions.REPLACE_KEYS
    shown_once = frozenset()


class RevokeRotation(_Clients, ActionEndpoint):
    """Revoke the newest credential of a client.

    All its tokens are revoked, and the credential before it is the only one again.
    """

    action = actions.REVOKE_ROTATION


class Enable(_Clients, ActionEndpoint):
    """Enable a disabled client. Also one that was closed because it was unused. It needs new tokens."""

    action = actions.ENABLE

    def check(self, row: Client) -> None:
        """Check that the caller has the scopes of the client."""
        check_may_hold(self.caller, row)
