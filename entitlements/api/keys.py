"""Signing keys: the public halves for everybody; rotating and withdrawing for few."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit.context import Principal
from entitlements import addresses, signing
from entitlements.errors import NotFound
from entitlements.models import SigningKey, System

from .endpoints import Act, Listing, Resource
from .fields import Shown, Strict, Text


class KeyFilter(filters.FilterSet):
    """Filters of the list."""

    issuer = filters.CharFilter()
    state = filters.ChoiceFilter(choices=SigningKey.State.choices)

    class Meta:
        model = SigningKey
        fields: ClassVar[list[str]] = []


class KeyShown(Shown):
    """A key's public half and where it is in its life."""

    kid = serializers.CharField()
    issuer = serializers.CharField()
    algorithm = serializers.CharField()
    public = serializers.JSONField()
    pem = serializers.SerializerMethodField(help_text="The same in PEM, as openssl takes it.")
    state = serializers.ChoiceField(choices=SigningKey.State.choices)
    created_at = serializers.DateTimeField()
    activates_at = serializers.DateTimeField()
    retires_at = serializers.DateTimeField(allow_null=True)

    def get_pem(self, key: SigningKey) -> str:
        """Write it as openssl reads it."""
        return signing.pem(key.public).decode()


class RotateAsked(Strict):
    """Which issuer takes the next step: `idp` or `as/<system>`. `now` is for a key that may have leaked."""

    issuer = Text(max_length=300)
    now = serializers.BooleanField(default=False)


class _Keys(Resource):
    shown = KeyShown
    lookup = "kid"

    def rows(self) -> QuerySet[SigningKey]:
        return SigningKey.objects.defer("sealed_private")

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"key:{found.kid}"]


class Keys(_Keys, Listing):
    """List signing keys by issuer and state."""

    filterset_class = KeyFilter
    ordering = ("-created_at", "-kid")


class Rotate(_Keys):
    """Publish an issuer's next key, or put it in use once it has been published long enough."""

    asked = RotateAsked

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Take the next step."""
        asked = self.body(RotateAsked)
        known = {addresses.IDP, *(addresses.issuer_path(slug) for slug in _slugs(asked["issuer"]))}
        if asked["issuer"] not in known:
            raise NotFound
        return self.show(signing.rotate(asked["issuer"], by=self.principal, now=asked["now"]))


def _slugs(issuer: str) -> list[str]:
    return list(System.objects.filter(slug=issuer.removeprefix("as/")).values_list("slug", flat=True))


class Withdraw(_Keys, Act):
    """Deny a key at once: what it signed no longer counts."""

    @staticmethod
    def verb(key: SigningKey, *, by: Principal, reason: str) -> SigningKey:
        """Withdraw it."""
        return signing.withdraw(key.kid, by=by, reason=reason)
