"""Signing keys: the public halves for everybody; rotating and withdrawing for few."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import addresses
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Text
from entitlements.api.resources import Listing, Resource
from entitlements.catalog.models import System
from entitlements.errors import NotFound
from entitlements.keys import chosen, session_keys, signing
from entitlements.keys.models import SigningKey
from entitlements.revocation import record_keys
from entitlements.signers import algorithms


class KeyFilter(filters.FilterSet):
    """Filters of the list."""

    issuer = filters.CharFilter()
    state = filters.ChoiceFilter(choices=SigningKey.State.choices)

    class Meta:
        model = SigningKey
        fields: ClassVar[list[str]] = []


class KeySerializer(OutputSerializer):
    """A key's public half and where it is in its life."""

    kid = serializers.CharField()
    issuer = serializers.CharField()
    algorithm = serializers.CharField()
    signer = serializers.CharField(help_text="What holds the private half: `database`, `transit` or `pkcs11`.")
    public = serializers.JSONField()
    pem = serializers.SerializerMethodField(
        help_text="The same in PEM, as openssl takes it; empty for a key of `sessions`."
    )
    state = serializers.ChoiceField(choices=SigningKey.State.choices)
    created_at = serializers.DateTimeField()
    activates_at = serializers.DateTimeField()
    retires_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    compromised_since = serializers.DateTimeField(
        allow_null=True, help_text="From then on a receipt or an evidence pack that it signed is in doubt."
    )

    def get_pem(self, key: SigningKey) -> str:
        """Write it as openssl reads it. A key that only seals has nothing to show."""
        return "" if key.algorithm == session_keys.ALGORITHM else signing.pem(key.public).decode()


class RotateInputSerializer(InputSerializer):
    """Which issuer takes the next step: `idp`, `as/<system>`, `receipts`, `evidence`, or `sessions`.

    `algorithm` names one of several keys of `idp`; else the usual one. `now` is for a key that may have leaked.
    """

    issuer = Text(max_length=300)
    algorithm = serializers.ChoiceField(choices=algorithms.OURS, required=False)
    now = serializers.BooleanField(default=False)


class _Keys(Resource):
    shown = KeySerializer
    lookup = "kid"

    def rows(self) -> QuerySet[SigningKey]:
        return SigningKey.objects.defer("sealed_private")

    def links(self, key: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"key:{key.kid}"]


class Keys(_Keys, Listing):
    """List signing keys. Filters: issuer and state. Private keys are never shown."""

    filterset_class = KeyFilter
    ordering = ("-created_at", "-kid")


class Rotate(_Keys):
    """Rotate a signing key by one step.

    The next key is published, or put in use once it has been published long enough.
    """

    asked = RotateInputSerializer

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Take the next step."""
        values = self.body(RotateInputSerializer)
        known = {
            addresses.IDP,
            *record_keys.ISSUERS,
            *session_keys.SEALING,
            *(addresses.issuer_path(slug) for slug in _slugs(values["issuer"])),
        }
        if values["issuer"] not in known:
            raise NotFound
        algorithm = values.get("algorithm", "")
        if algorithm and algorithm not in chosen.algorithms(values["issuer"]):
            raise NotFound
        return self.show(signing.rotate(values["issuer"], by=self.principal, now=values["now"], algorithm=algorithm))


def _slugs(issuer: str) -> list[str]:
    return list(System.objects.filter(slug=issuer.removeprefix("as/")).values_list("slug", flat=True))


class WithdrawInputSerializer(ReasonInputSerializer):
    """Why, and since when the key may have been in other hands; without that, since it was made."""

    compromised_since = serializers.DateTimeField(required=False)


class Withdraw(_Keys):
    """Withdraw a signing key at once.

    Its tokens are refused, and what it signed from `compromised_since` on is in doubt.
    """

    asked = WithdrawInputSerializer

    def post(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - the framework's signature
        """Deny it, and answer with the key as it is then."""
        key = self.find_row()
        self.permit(key, *self.links(key))
        values = self.body(WithdrawInputSerializer)
        since = values.get("compromised_since")
        signing.withdraw(key.kid, by=self.principal, reason=values["reason"], since=since)
        return self.again(key)
