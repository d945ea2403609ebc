"""Connected accounts over REST: list, look, end. One begins with the person, on a page of the console."""

from __future__ import annotations

from typing import ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.connected_accounts import actions
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.foreign_tokens import rules


class ConnectedAccountFilter(filters.FilterSet):
    """Filters of the list."""

    system = filters.CharFilter(field_name="system__slug")
    person = filters.CharFilter(field_name="person__login")
    state = filters.ChoiceFilter(choices=ConnectedAccount.State.choices)
    revocation = filters.ChoiceFilter(choices=[each for each in ConnectedAccount.Revocation.choices if each[0]])

    class Meta:
        model = ConnectedAccount
        fields: ClassVar[list[str]] = []


class AccountConsentSerializer(OutputSerializer):
    """One client of one agent that may use the account."""

    client = serializers.CharField(source="client.client_id")
    agent = serializers.CharField(source="agent.slug")
    given_at = serializers.DateTimeField()


class ConnectedAccountSerializer(OutputSerializer):
    """A person's account at a system, without its tokens. `revocation` is what the system answered when they ended.

    `measured_end` is what trying them found then: dead, alive, unknown, or pending; null before.
    """

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    person = serializers.CharField(source="person.login")
    state = serializers.ChoiceField(choices=ConnectedAccount.State.choices)
    issuer = serializers.CharField()
    scope = serializers.CharField()
    consents = AccountConsentSerializer(many=True)
    connected_at = serializers.DateTimeField()
    refreshed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    revocation = serializers.ChoiceField(choices=ConnectedAccount.Revocation.choices, allow_blank=True)
    revocation_settled_at = serializers.DateTimeField(allow_null=True)
    measured_end = serializers.ChoiceField(
        source="foreign_token.end", choices=[*rules.End], default=None, allow_null=True
    )
    measured_at = serializers.DateTimeField(source="foreign_token.measured_at", default=None, allow_null=True)


class _Accounts(Resource):
    shown = ConnectedAccountSerializer
    subject = actions.CONNECTED_ACCOUNT


class Accounts(_Accounts, Listing):
    """List connected accounts: your own, and those at systems that you own. The newest first.

    Filters: system, person, state, revocation.
    """

    filterset_class = ConnectedAccountFilter
    ordering = ("-connected_at", "-id")


class AccountDetail(_Accounts, Detail):
    """Show a connected account."""


class End(_Accounts, ActionEndpoint):
    """End a connected account on every node at once. Its tokens are then revoked at the system."""

    action = actions.END


ADDRESSES: Final = (
    ("connected-accounts", Accounts, "connected-accounts"),
    ("connected-accounts/<uuid:key>", AccountDetail, "connected-account"),
    ("connected-accounts/<uuid:key>/end", End, "connected-account-end"),
)
