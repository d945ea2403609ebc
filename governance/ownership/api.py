"""Ownership of agents over REST: a proposal to a person, who accepts or declines it themselves."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.api import AgentSerializer
from entitlements.agents.models import Agent
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Text
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Detail, Listing, Resource
from entitlements.errors import Forbidden
from entitlements.people.api import known_person
from entitlements.people.models import Person
from governance.api.matrix import MATRIX
from governance.ownership import dormancy, ownership
from governance.ownership.models import OwnershipProposal


class ProposedPerson(InputSerializer):
    """The proposed person, and the reason."""

    person = Text(max_length=64)
    reason = Text(max_length=500)


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


def visible(caller: Caller) -> QuerySet[OwnershipProposal]:
    """Proposals: those to oneself, and those about the agents that one sees."""
    rows = OwnershipProposal.objects.select_related("agent", "person")
    about = rows.filter(agent__in=visibility.agents(caller).values("pk"))
    return about | rows.filter(person=caller.human) if caller.human else about


def first_hand(caller: Caller) -> Person:
    """Return the person who calls. Raises Forbidden for a script or an agent."""
    if caller.human is None:
        raise Forbidden
    return caller.human


class _Agents(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    lookup = "slug"

    def rows(self) -> QuerySet[Agent]:
        return visibility.agents(self.caller)

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"agent:{row.slug}"]


class _Propose(_Agents):
    shown = OwnershipProposalSerializer
    asked = ProposedPerson
    answers = HTTPStatus.CREATED
    office: ClassVar[OwnershipProposal.Office]

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Ask the person, who has a week to answer. Nothing changes before they have accepted."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        body = self.body(ProposedPerson)
        proposal = ownership.propose(
            row, type(self).office, known_person(body["person"]), by=self.principal, reason=body["reason"]
        )
        return self.show(proposal, status=HTTPStatus.CREATED)


class Sponsor(_Propose):
    """Propose another sponsor of an agent."""

    office = OwnershipProposal.Office.SPONSOR


class Owner(_Propose):
    """Ask a person to become its technical owner, who then never approves for this agent."""

    office = OwnershipProposal.Office.OWNER


class Backup(_Propose):
    """Ask a person to become its backup owner."""

    office = OwnershipProposal.Office.BACKUP


class Keep(_Agents):
    """Say that an unused agent is still needed."""

    shown = AgentSerializer
    asked = ReasonInputSerializer

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Keep it, with a reason; that counts as a use."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        dormancy.keep(row, by=first_hand(self.caller), reason=self.body(ReasonInputSerializer)["reason"])
        return self.again(row)


class _Proposals(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown = OwnershipProposalSerializer

    def rows(self) -> QuerySet[OwnershipProposal]:
        return visible(self.caller)

    def links(self, row: Any) -> list[str]:  # noqa: ANN401 - as above
        return ownership.about(row)


class Proposals(_Proposals, Listing):
    """List proposals of ownership, newest first."""

    filterset_class = ProposalFilter
    ordering = ("-proposed_at", "-id")


class OwnershipProposalDetail(_Proposals, Detail):
    """Show a proposal of ownership."""


class Accept(_Proposals):
    """Accept a proposal. Open requests are routed to the new approvers in the same step."""

    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Accept what one was asked to do."""
        row = self.find_row()
        self.about = self.links(row)
        ownership.accept(row.pk, by=first_hand(self.caller))
        return self.again(row)


class Decline(_Proposals):
    """Decline a proposal, with a reason."""

    asked = ReasonInputSerializer

    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Decline what one was asked to do."""
        row = self.find_row()
        self.about = self.links(row)
        ownership.decline(row.pk, by=first_hand(self.caller), reason=self.body(ReasonInputSerializer)["reason"])
        return self.again(row)
