"""Trusted issuers over REST: what is proposed, in force and over, and the actions of both people."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.proposals.api import TwoPersonSerializer
from entitlements.trusted_issuers import actions, proposals
from entitlements.trusted_issuers.models import IssuerKeys, IssuerProposal, TrustedIssuer


class ChangedTermSerializer(OutputSerializer):
    """One term that a proposal changes of what is in force."""

    field = serializers.CharField(source="name")
    before = serializers.JSONField()
    after = serializers.JSONField()


class SeenKeysSerializer(OutputSerializer):
    """The key set as a worker last fetched it; each node of the edge fetches its own."""

    keys = serializers.JSONField()
    fetched_at = serializers.DateTimeField(allow_null=True)
    tried_at = serializers.DateTimeField()
    failing_since = serializers.DateTimeField(allow_null=True)
    problem = serializers.CharField()


class TrustedIssuerSerializer(TwoPersonSerializer):
    """An issuer and its terms: who proposed them, who confirmed them, and what they change."""

    proposed_by = serializers.CharField(source="proposed_by.login", default=None, allow_null=True)
    issuer = serializers.CharField()
    purpose = serializers.ChoiceField(choices=TrustedIssuer.Purpose.choices, source="terms.purpose")
    issues_id_jags = serializers.BooleanField(source="terms.issues_id_jags")
    jwks_uri = serializers.CharField(source="terms.jwks_uri")
    jwks = serializers.JSONField(source="terms.jwks")
    algorithms = serializers.JSONField(source="terms.algorithms")
    single_use = serializers.BooleanField(source="terms.strict_single_use")
    clients = serializers.JSONField(source="terms.clients")
    other_audiences = serializers.JSONField(source="terms.other_audiences")
    subject_claim = serializers.CharField(source="terms.subject_claim")
    tenant_claim = serializers.CharField(source="terms.tenant_claim")
    tenants = serializers.JSONField(source="terms.tenants")
    contexts = serializers.JSONField(source="terms.contexts")
    sends_signals = serializers.BooleanField(source="terms.sends_signals", default=False)
    signal_audience = serializers.CharField(source="terms.signal_audience", default="")
    signal_events = serializers.SerializerMethodField()
    changes = serializers.SerializerMethodField()
    seen_keys = serializers.SerializerMethodField()

    def get_signal_events(self, row: IssuerProposal) -> list[str]:
        """List the events that are taken; none where each is that is understood."""
        return [*row.terms.get("signal_events", [])]

    @extend_schema_field(ChangedTermSerializer(many=True))
    def get_changes(self, row: IssuerProposal) -> list[dict[str, Any]]:
        """Return what a proposal changes of what is in force; of another state nothing."""
        if row.state != IssuerProposal.State.PROPOSED:
            return []
        return [ChangedTermSerializer(change).data for change in proposals.changes_of(row)]

    @extend_schema_field(SeenKeysSerializer(allow_null=True))
    def get_seen_keys(self, row: IssuerProposal) -> dict[str, Any] | None:
        """Return the keys as a worker saw them, of what is in force and fetched."""
        if row.state != IssuerProposal.State.IN_FORCE:
            return None
        seen = IssuerKeys.objects.filter(issuer__issuer=row.issuer).first()
        return dict(SeenKeysSerializer(seen).data) if seen else None


class TrustedIssuerFilter(filters.FilterSet):
    """Filters of the list."""

    issuer = filters.CharFilter()
    state = filters.ChoiceFilter(choices=IssuerProposal.State.choices)
    purpose = filters.ChoiceFilter(choices=TrustedIssuer.Purpose.choices, field_name="terms__purpose")

    class Meta:
        model = IssuerProposal
        fields: ClassVar[list[str]] = []


class _Issuers(Resource):
    shown = TrustedIssuerSerializer
    subject = actions.ISSUER


class Issuers(_Issuers, Listing, CreateEndpoint):
    """List trusted issuers, and propose one.

    get: List trusted and proposed issuers.
    post: Propose a trusted issuer, or other terms for one. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = TrustedIssuerFilter
    ordering = ("-proposed_at", "-id")


class IssuerDetail(_Issuers, Detail):
    """Show a trusted issuer."""


class ConfirmIssuer(_Issuers, ActionEndpoint):
    """Confirm the proposed terms of a trusted issuer.

    Somebody else than the person who proposed them confirms: a platform admin or security approver.
    """

    action = actions.CONFIRM


class WithdrawIssuer(_Issuers, ActionEndpoint):
    """Withdraw the proposed terms of an issuer."""

    action = actions.WITHDRAW


class EndIssuer(_Issuers, ActionEndpoint):
    """End the trust in an issuer. Its tokens are refused at once."""

    action = actions.END


ADDRESSES: Final = (
    ("trusted-issuers", Issuers, "trusted-issuers"),
    ("trusted-issuers/<uuid:key>", IssuerDetail, "trusted-issuer"),
    ("trusted-issuers/<uuid:key>/confirm", ConfirmIssuer, "trusted-issuer-confirm"),
    ("trusted-issuers/<uuid:key>/withdraw", WithdrawIssuer, "trusted-issuer-withdraw"),
    ("trusted-issuers/<uuid:key>/end", EndIssuer, "trusted-issuer-end"),
)
"""Address, view and name of each, as the API mounts them."""
