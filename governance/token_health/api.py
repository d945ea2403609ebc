"""Token health over REST: what to fix about tokens and credentials, and each token, as on the pages of the console."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import Listing
from entitlements.clients.models import Client
from entitlements.permissions.matrix import Matrix
from entitlements.tokens.models import IssuedToken
from governance.api.matrix import MATRIX
from governance.token_health.queries import findings, tokens

STATES = (("live", "Live"), ("ended", "Ended"))
BINDINGS = (("dpop", "DPoP key"), ("bearer", "Bearer"))


class TokenFindingSerializer(OutputSerializer):
    """Something to fix: of which kind it is, what it is about, why, and where in the console it is mended.

    `agent`, `client` and `system` are empty where it is about none, and `tokens` counts the recent tokens behind it.
    """

    kind = serializers.ChoiceField(choices=[(kind, kind) for kind in findings.KINDS])
    about = serializers.CharField()
    reason = serializers.CharField()
    address = serializers.CharField()
    agent = serializers.CharField()
    client = serializers.CharField()
    system = serializers.CharField()
    tokens = serializers.IntegerField()


class TokenHealthSerializer(OutputSerializer):
    """What to fix about tokens and credentials that the caller sees, the gravest first, as it is `at` that moment."""

    at = serializers.DateTimeField()
    findings = TokenFindingSerializer(many=True)


class TokenHealth(Endpoint):
    """Show what to fix about tokens.

    Tokens wider than used or longer than allowed, old sign-ins, secrets, and unused clients.
    """

    matrix: ClassVar[Matrix] = MATRIX

    @extend_schema(responses=TokenHealthSerializer, operation_id="token_health_read")
    def get(self, request: Request) -> Response:  # noqa: ARG002 - it asks nothing
        """Name it."""
        values = {"at": clock.now(), "findings": findings.findings(self.caller)}
        return Response(TokenHealthSerializer(values).data)


class TokenHealthFilter(filters.FilterSet):
    """Filters of the list, for the API and the console. `q` finds names of agents, clients and people, or a `jti`."""

    q = filters.CharFilter(method="_named")
    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")
    client = filters.CharFilter(field_name="client__client_id")
    system = filters.CharFilter(field_name="system__slug")
    kind = filters.ChoiceFilter(choices=IssuedToken.Kind.choices)
    method = filters.ChoiceFilter(field_name="client__auth", choices=Client.Auth.choices)
    family = filters.UUIDFilter(field_name="family")
    state = filters.ChoiceFilter(choices=STATES, method="_in_state")
    binding = filters.ChoiceFilter(choices=BINDINGS, method="_bound")

    class Meta:
        model = IssuedToken
        fields: ClassVar[list[str]] = []

    def _named(self, rows: QuerySet[IssuedToken], _name: str, text: str) -> QuerySet[IssuedToken]:
        return tokens.named(rows, text)

    def _in_state(self, rows: QuerySet[IssuedToken], _name: str, state: str) -> QuerySet[IssuedToken]:
        is_live = tokens.is_live(clock.now())
        return rows.filter(is_live if state == "live" else ~is_live)

    def _bound(self, rows: QuerySet[IssuedToken], _name: str, binding: str) -> QuerySet[IssuedToken]:
        return rows.filter(jkt="") if binding == "bearer" else rows.exclude(jkt="")


class TokenHealthRowSerializer(OutputSerializer):
    """A token, live or issued in the last seven days, and what is beside it.

    `opened` counts the tools that it opens now, `held` those that its agent holds at the system for the person, `used`
    those of the opened that were called in ninety days; null where calls do not pass the gateway.
    """

    jti = serializers.UUIDField(source="token.jti")
    kind = serializers.ChoiceField(choices=IssuedToken.Kind.choices, source="token.kind")
    state = serializers.ChoiceField(choices=STATES)
    agent = serializers.CharField(source="token.agent.slug", allow_null=True, default=None)
    person = serializers.CharField(source="token.person.login", allow_null=True, default=None)
    client = serializers.CharField(source="token.client.client_id")
    method = serializers.ChoiceField(choices=Client.Auth.choices, source="token.client.auth")
    system = serializers.CharField(source="token.system.slug")
    scope = serializers.CharField(source="token.scope")
    binding = serializers.ChoiceField(choices=BINDINGS)
    issued_at = serializers.DateTimeField(source="token.issued_at")
    expires_at = serializers.DateTimeField(source="token.expires_at")
    lifetime_seconds = serializers.IntegerField()
    opened = serializers.IntegerField(source="width.opened")
    held = serializers.IntegerField(source="width.held")
    used = serializers.IntegerField(source="width.used", allow_null=True)
    auth_time = serializers.DateTimeField(allow_null=True)
    last_call_at = serializers.DateTimeField(allow_null=True)
    session = serializers.UUIDField(source="token.session_id", allow_null=True)
    family = serializers.UUIDField(source="token.family", allow_null=True)
    family_started_at = serializers.DateTimeField(source="family.started_at", allow_null=True, default=None)


class HealthOfTokens(Listing):
    """List tokens with their width, age and binding.

    Tokens that are valid, or were issued in the last seven days, the newest first.
    """

    matrix: ClassVar[Matrix] = MATRIX
    shown = TokenHealthRowSerializer
    filterset_class = TokenHealthFilter
    ordering = ("-issued_at", "-jti")

    def rows(self) -> QuerySet[Any]:
        """Return the tokens that the caller sees."""
        return tokens.rows(self.caller, clock.now())

    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Answer one page, described as a whole."""
        page = self.paginate_queryset(self.filter_queryset(self.rows())) or []
        described = tokens.described(list(page), clock.now())
        return self.get_paginated_response(TokenHealthRowSerializer(described, many=True).data)
