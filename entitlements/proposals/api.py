"""Proposals over REST: what waits for a second person and what is over, and both answers."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.proposals import actions
from entitlements.proposals.models import Proposal, TwoPersonProposal


class TwoPersonSerializer(OutputSerializer):
    """What one person proposed and another confirmed, and until when it held."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=TwoPersonProposal.State.choices)
    reason = serializers.CharField()
    proposed_by = serializers.CharField(source="proposed_by.login")
    proposed_at = serializers.DateTimeField()
    confirmed_by = serializers.CharField(source="confirmed_by.login", default=None, allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields of the thing itself before those of its two people: lists show the first."""
        fields = super().get_fields()
        own = [name for name in fields if name not in TwoPersonSerializer._declared_fields]
        return {name: fields[name] for name in dict.fromkeys(["id", "state", *own, *fields])}


class ProposalSerializer(OutputSerializer):
    """A change of a subject that one person proposed and another confirms. Its terms are those of its kind."""

    id = serializers.UUIDField()
    kind = serializers.CharField(
        help_text="`tool_class`: a lower class of a tool, `from` its own `to` another. `erasure`: of personal data."
    )
    subject = serializers.CharField(help_text="As the audit log names it: `tool:SYSTEM/TOOL`, `person:LOGIN`.")
    terms = serializers.JSONField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=Proposal.State.choices)
    proposed_by = serializers.CharField(source="proposed_as")
    proposed_at = serializers.DateTimeField()
    confirmed_by = serializers.CharField(source="confirmed_by.login", default=None, allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()


class ProposalFilter(filters.FilterSet):
    """Filters of the list."""

    kind = filters.CharFilter()
    subject = filters.CharFilter()
    state = filters.ChoiceFilter(choices=Proposal.State.choices)

    class Meta:
        model = Proposal
        fields: ClassVar[list[str]] = []


class _Proposals(Resource):
    shown = ProposalSerializer
    subject = actions.PROPOSAL


class Proposals(_Proposals, Listing):
    """List changes that two people agree on. Filters: kind, subject and state."""

    filterset_class = ProposalFilter
    ordering = ("-proposed_at", "-id")


class ProposalDetail(_Proposals, Detail):
    """Show a change that two people agree on."""


class ConfirmProposal(_Proposals, ActionEndpoint):
    """Confirm a change that another person proposed.

    A platform admin or security approver confirms it. If agents would then violate an SoD policy,
    `reclassification_violates_sod_policy` refuses it; sent again with the `accept` of its facts it is confirmed.
    """

    action = actions.CONFIRM


class WithdrawProposal(_Proposals, ActionEndpoint):
    """Withdraw a change that waits for a second person."""

    action = actions.WITHDRAW


ADDRESSES: Final = (
    ("change-proposals", Proposals, "change-proposals"),
    ("change-proposals/<uuid:key>", ProposalDetail, "change-proposal"),
    ("change-proposals/<uuid:key>/confirm", ConfirmProposal, "change-proposal-confirm"),
    ("change-proposals/<uuid:key>/withdraw", WithdrawProposal, "change-proposal-withdraw"),
)
"""Address, view and name of each, as the API mounts them."""
