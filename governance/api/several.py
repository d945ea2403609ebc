"""Several things of floor 3 asked for at once: each by the rules of one, with what became of it (207, RFC 4918)."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from entitlements.access import visibility
from entitlements.api import preconditions
from entitlements.api.bulk import MOST, Bulk, NamedAgent, NamedGrant, Outcome
from entitlements.api.fields import InputSerializer, Lasts, OutputSerializer, Text, Ticket
from entitlements.people.api import known_person
from entitlements.permissions.matrix import Matrix
from governance.approvals.api import AnswersInputSerializer, RequestResultsSerializer
from governance.ownership.actions import ACCEPT, PROPOSE
from governance.ownership.models import OwnershipProposal
from governance.request_changes.actions import RENEW
from governance.requests.actions import CANCEL, SUBMIT
from governance.requests.api.bodies import Limits, Names, RequestInputSerializer
from governance.requests.api.requests import RequestResource, renewal_of, version_of
from governance.requests.models import AccessRequest

from .matrix import MATRIX


class RequestsInputSerializer(InputSerializer):
    """Requests, each as it would be sent alone."""

    items = serializers.ListField(child=RequestInputSerializer(), min_length=1, max_length=MOST)


class Made(Outcome):
    """What became of one: 200 with the request that was made and whom to answer it to, or a problem."""

    request = serializers.UUIDField(allow_null=True, default=None)
    etag = serializers.CharField(allow_null=True, default=None)


class AccessRequestResultSerializer(Made):
    """The result of the request for one agent."""

    agent = serializers.CharField()
    entitlement = serializers.CharField()


class AccessRequestResultsSerializer(OutputSerializer):
    """The result of each, in the order of the request."""

    results = AccessRequestResultSerializer(many=True)


def _made(request: AccessRequest) -> dict[str, Any]:
    return {"state": request.state, "request": request.pk, "etag": preconditions.etag(request.version)}


class SubmitRequests(RequestResource, Bulk):
    """Submit several access requests. Each on its own: the result is the new access request, or the refusal."""

    action = SUBMIT
    asked, shown, names = RequestsInputSerializer, AccessRequestResultsSerializer, ("agent", "entitlement")

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Ask once."""
        return _made(self.action.perform(None, self.caller, self.terms({**named, **values})).result)


class RenewedGrant(NamedGrant):
    """A grant that shall go on, and what of it; what is left out stays as it is."""

    tools = Names(required=False, allow_null=True, default=None)
    limits = Limits(required=False, default=dict)


class RenewalsInputSerializer(InputSerializer):
    """Grants that shall go on, for how long and why."""

    items = serializers.ListField(child=RenewedGrant(), min_length=1, max_length=MOST)
    lasts = Lasts()
    reason = Text(max_length=2000)
    ticket = Ticket()


class RenewalResultSerializer(Made):
    """The result of one grant's renewal."""

    id = serializers.UUIDField()


class RenewalResultsSerializer(OutputSerializer):
    """The result of each, in the order of the request."""

    results = RenewalResultSerializer(many=True)


class RenewGrants(RequestResource, Bulk):
    """Request the renewal of several grants. Each on its own: the result is the new access request, or the refusal."""

    action = RENEW
    asked, shown, names = RenewalsInputSerializer, RenewalResultsSerializer, ("id",)

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Ask for one."""
        self.about = [f"grant:{named['id']}"]
        grant = self.find(self.action.subject.rows(self.caller), pk=named["id"])
        self.about = self.action.subject.about(grant)
        return _made(self.action.perform(grant, self.caller, renewal_of(values)).result)


class CancelRequests(RequestResource, Bulk):
    """Cancel several of your access requests. Each as it was read, on its own, with its own result."""

    action = CANCEL
    asked, shown, names = AnswersInputSerializer, RequestResultsSerializer, ("id",)

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Withdraw one."""
        row, read = self.seen(named["id"]), version_of(values["etag"])
        withdrawal = {"expected_version": read, "reason": values["reason"]}
        return {"state": self.action.perform(row, self.caller, withdrawal).result.state}


class OwnershipInputSerializer(NamedAgent):
    """An agent, a role, and the proposed person."""

    office = serializers.ChoiceField(choices=OwnershipProposal.Office.choices)
    person = Text(max_length=64)


class OwnershipsInputSerializer(InputSerializer):
    """Proposed owners by agent, and why."""

    items = serializers.ListField(child=OwnershipInputSerializer(), min_length=1, max_length=MOST)
    reason = Text(max_length=500)


class OwnershipResultSerializer(Outcome):
    """What became of one: 200 with the proposal that waits for its answer, or a problem."""

    slug = serializers.CharField()
    office = serializers.CharField()
    proposal = serializers.UUIDField(allow_null=True, default=None)


class OwnershipResultsSerializer(OutputSerializer):
    """The result of each, in the order of the request."""

    results = OwnershipResultSerializer(many=True)


class ProposeOffices(Bulk):
    """Propose owners of several agents. Each on its own. Nothing changes before they have accepted."""

    matrix: ClassVar[Matrix] = MATRIX
    action = PROPOSE[OwnershipProposal.Office.SPONSOR]
    asked, shown, names = OwnershipsInputSerializer, OwnershipResultsSerializer, ("slug", "office")

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Ask one."""
        self.about = [f"agent:{named['slug']}"]
        agent = self.find(visibility.agents(self.caller), slug=named["slug"])
        self.permit(agent, *self.about)
        proposed = {"person": known_person(values["person"]), "reason": values["reason"]}
        proposal = PROPOSE[named["office"]].perform(agent, self.caller, proposed).result
        return {"state": proposal.state, "proposal": proposal.pk}


class NamedProposal(InputSerializer):
    """A proposal, by its id."""

    id = serializers.UUIDField()


class AcceptancesInputSerializer(InputSerializer):
    """What one accepts."""

    items = serializers.ListField(child=NamedProposal(), min_length=1, max_length=MOST)


class AcceptanceResultSerializer(Outcome):
    """The result of one proposal: 200 with its new state, or a problem."""

    id = serializers.UUIDField()


class AcceptanceResultsSerializer(OutputSerializer):
    """The result of each, in the order of the request."""

    results = AcceptanceResultSerializer(many=True)


class AcceptOffices(Bulk):
    """Accept several proposals of ownership. Each is accepted on its own, with its own result."""

    matrix: ClassVar[Matrix] = MATRIX
    action = ACCEPT
    asked, shown, names = AcceptancesInputSerializer, AcceptanceResultsSerializer, ("id",)

    def act_on(self, named: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - as above
        """Accept one."""
        proposal = self.find(self.action.subject.rows(self.caller), pk=named["id"])
        self.about = self.action.subject.about(proposal)
        return {"state": self.action.perform(proposal, self.caller, {}).result.state}
