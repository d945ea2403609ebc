"""How old credentials may become, over REST: proposed by one, confirmed by another."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.credential_policy import rules
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.permissions.matrix import Matrix
from entitlements.proposals.api import TwoPersonSerializer
from governance.api.matrix import MATRIX
from governance.credential_policy import actions
from governance.credential_policy.models import CredentialPolicyProposal


class _PolicySerializer(OutputSerializer):
    days = serializers.SerializerMethodField()
    overlap_hours = serializers.IntegerField()
    stops_upstream_secrets = serializers.BooleanField()

    def get_days(self, row: CredentialPolicy | CredentialPolicyProposal) -> dict[str, int]:
        """Return the longest age in days, by kind."""
        if isinstance(row, CredentialPolicyProposal):
            return dict(row.days)
        return {kind.value: limit.days for kind, limit in rules.read(row.limits).items()}


class CredentialPolicySerializer(_PolicySerializer):
    """One version of the credential policy; the newest is in force."""

    number = serializers.IntegerField()
    made_at = serializers.DateTimeField()


class CredentialPolicyProposalSerializer(_PolicySerializer, TwoPersonSerializer):
    """The next version as a person proposed it, and what became of it."""

    number = serializers.IntegerField(allow_null=True)


class ProposalFilter(filters.FilterSet):
    """Filters of the list."""

    state = filters.ChoiceFilter(choices=CredentialPolicyProposal.State.choices)

    class Meta:
        model = CredentialPolicyProposal
        fields: ClassVar[list[str]] = []


class PolicyFilter(filters.FilterSet):
    """Filters of the list."""

    number = filters.NumberFilter()

    class Meta:
        model = CredentialPolicy
        fields: ClassVar[list[str]] = []


class _Policies(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = CredentialPolicySerializer

    def rows(self) -> QuerySet[CredentialPolicy]:
        return CredentialPolicy.objects.all()


class CredentialPolicies(_Policies, Listing):
    """List the versions of the credential policy. The one in force comes first."""

    filterset_class = PolicyFilter
    ordering = ("-number",)


class _Proposals(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = CredentialPolicyProposalSerializer
    subject = actions.PROPOSAL


class CredentialPolicyProposals(_Proposals, Listing, CreateEndpoint):
    """List proposed credential policies, and propose one.

    get: List proposed credential policies.
    post: Propose the next version of the credential policy. It counts once another person has confirmed it.
    """

    action = actions.PROPOSE
    filterset_class = ProposalFilter
    ordering = ("-proposed_at", "-id")


class CredentialPolicyProposalDetail(_Proposals, Detail):
    """Show a proposed credential policy."""


class ConfirmCredentialPolicy(_Proposals, ActionEndpoint):
    """Confirm a proposed credential policy. The person who proposed it cannot confirm it."""

    action = actions.CONFIRM


class WithdrawCredentialPolicy(_Proposals, ActionEndpoint):
    """Withdraw a proposed credential policy."""

    action = actions.WITHDRAW
