"""What people and programs do with clients and their credentials: each action declared once, for API and console."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from entitlements import addresses
from entitlements.access import visibility
from entitlements.api.actions import NEW, Action, Subject, person, principal
from entitlements.api.fields import InputSerializer, StopInputSerializer, Text
from entitlements.clients import acceptance, clients, credentials, rotations
from entitlements.clients.models import Client, ClientCredential
from entitlements.decisions import scopes


class ClientInputSerializer(InputSerializer):
    """A new client: of an agent, or (without one) a script of the platform."""

    client_id = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,98}$")
    agent = Text(max_length=64, allow_null=True, default=None)
    auth = serializers.ChoiceField(choices=Client.Auth.choices, default=Client.Auth.PRIVATE_KEY_JWT)
    name = Text(max_length=200, default="", allow_blank=True)
    jwks = serializers.DictField(allow_null=True, default=None)
    redirect_uris = serializers.ListField(child=serializers.URLField(max_length=500), default=list, max_length=20)
    api_scopes = serializers.ListField(child=Text(max_length=128), default=list, max_length=20)
    serves = serializers.ChoiceField(choices=Client.Serves.choices, default=Client.Serves.OWN_AGENT)

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


class ClientSecretInputSerializer(InputSerializer):
    """Why, and whether the credential before it works on until the overlap ends."""

    reason = Text(max_length=500)
    keep_previous = serializers.BooleanField(default=False)


class ClientKeysInputSerializer(ClientSecretInputSerializer):
    """The public keys that the client signs with from now on."""

    jwks = serializers.DictField()


def _about(client: Client) -> list[str]:
    return [f"client:{client.client_id}", *([f"agent:{client.agent.slug}"] if client.agent else [])]


def _names(credential: ClientCredential) -> dict[str, str]:
    return {"client": credential.client_id, "agent": credential.agent.name}


CLIENT = Subject(visibility.clients, _about, ("client_id",))
CREDENTIAL = Subject(visibility.client_credentials, credentials.about, by=person, by_key=True)

REGISTER = Action("clients", NEW, clients.register, input=ClientInputSerializer)
ROTATE = Action("client-secret", CLIENT, clients.rotate_secret, input=ClientSecretInputSerializer)
REPLACE_KEYS = Action("client-keys", CLIENT, rotations.replace_keys, input=ClientKeysInputSerializer)
REVOKE_ROTATION = Action(
    "client-rotation-revoke",
    CLIENT,
    rotations.revoke_rotation,
    input=StopInputSerializer,
    stops="client",
    done=_("Revoked. The old credential works again, and all tokens of the client are revoked."),
)
DISABLE = Action("client-disable", CLIENT, clients.disable, input=StopInputSerializer, stops="client")
ENABLE = Action("client-enable", CLIENT, clients.enable, done=_("The client is restored. Its old tokens stay revoked."))
ACCEPT = Action(
    "client-credential-accept",
    CREDENTIAL,
    acceptance.accept,
    input=None,
    done=lambda performed: _("Accepted. %(client)s works for %(agent)s from now on.") % _names(performed.row),
)
REFUSE = Action(
    "client-credential-refuse",
    CREDENTIAL,
    acceptance.refuse,
    done=lambda performed: _("Refused. %(client)s cannot use it for %(agent)s.") % _names(performed.row),
    by=principal,
)
