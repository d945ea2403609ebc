"""Ownership of agents over REST: a proposal to a person, who accepts or declines it themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers

from entitlements.agents.actions import AGENT
from entitlements.agents.api import AgentSerializer
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import ActionEndpoint, Detail, Listing, Resource
from entitlements.people.api import known_person
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.ownership import actions
from governance.ownership.models import OwnershipProposal


class OwnershipProposalSerializer(OutputSerializer):
    """A proposal of ownership: role, agent, person, proposer, deadline and state."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent.slug")
    office = serializers.ChoiceField(choices=OwnershipProposal.Office.choices)
    person = serializers.CharField(source="person.login")
    proposed_by = serializers.CharField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=OwnershipProposal.State.choices)
    proposed_at = serializers.DateTimeField()
    answer_by = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)


class ProposalFilter(filters.FilterSet):
    """Filters of the list."""

    state = filters.ChoiceFilter(choices=OwnershipProposal.State.choices)
    agent = filters.CharFilter(field_name="agent__slug")
    person = filters.CharFilter(field_name="person__login")

    class Meta:
        model = OwnershipProposal
        fields: ClassVar[list[str]] = []


class _Agents(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = AGENT


class _Propose(_Agents, ActionEndpoint):
    shown = OwnershipProposalSerializer
    answers = HTTPStatus.CREATED
    shows_result = True

    def read(self) -> dict[str, Any]:
        """Read the person, by login."""
        values = super().read()
        return {**values, "person": known_person(values["person"])}


class Sponsor(_Propose):
    """Propose another sponsor of an agent. Nothing changes before they have accepted."""

    action = actions.PROPOSE[OwnershipProposal.Office.SPONSOR]


class Owner(_Propose):
    """Propose a technical owner of an agent.

    Nothing changes before they have accepted. The technical owner never approves for this agent.
    """

    action = actions.PROPOSE[OwnershipProposal.Office.OWNER]


class Backup(_Propose):
    """Propose a backup owner of an agent. Nothing changes before they have accepted."""

    action = actions.PROPOSE[OwnershipProposal.Office.BACKUP]


class Keep(_Agents, ActionEndpoint):
    """Attest that an unused agent is still needed."""

    action = actions.KEEP
    shown = AgentSerializer


class _Proposals(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    subject = actions.PROPOSAL
    shown = OwnershipProposalSerializer


class Proposals(_Proposals, Listing):
    """List proposals of ownership, the newest first."""

    filterset_class = ProposalFilter
    ordering = ("-proposed_at", "-id")


class OwnershipProposalDetail(_Proposals, Detail):
    """Show a proposal of ownership."""


class Accept(_Proposals, ActionEndpoint):
    """Accept a proposal of ownership. Open requests are routed to the new approvers in the same step."""

    action = actions.ACCEPT


class Decline(_Proposals, ActionEndpoint):
    """Decline a proposal of ownership, with a reason."""

    action = actions.DECLINE
