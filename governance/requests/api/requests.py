"""Requests over REST: ask, list, look, approve, deny, narrow, cancel."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.agents.models import Agent
from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.preconditions import PreconditionRequired
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Listing, tagged
from entitlements.catalog.models import Entitlement
from entitlements.errors import DomainError, Stale
from entitlements.people.models import Group, Person
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.approvals import actions as approval_actions
from governance.approvals.models import Approval
from governance.eligibility import eligibility
from governance.eligibility.narrowing import Narrowing
from governance.request_changes import actions as change_actions
from governance.requests import actions, requests
from governance.requests.models import AccessRequest

from .bodies import (
    DenialBody,
    NarrowingBody,
    OptionalReason,
    RenewalInputSerializer,
    RepeatInputSerializer,
    RequestInputSerializer,
    RequestSerializer,
    narrowing,
)

IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The `etag` of the request as it was read."
)
_NO_VERSION: Final = -1
_DIGITS: Final = 18
"""No version is longer; Python reads no number of thousands of digits."""


class UnknownName(DomainError):
    """A name in the request does not exist. See `field` and `name`."""

    code, status = "unknown_name", HTTPStatus.UNPROCESSABLE_ENTITY


class RequestResource(Endpoint):
    """The base of the endpoints of requests: who asks, and what they may see."""

    matrix: ClassVar[Matrix] = MATRIX

    def visible(self) -> QuerySet[AccessRequest]:
        """Return what the caller may see."""
        return (
            actions.visible(self.caller)
            .select_related("agent", "entitlement__system", "requested_by")
            .prefetch_related(
                "people",
                "groups",
                "lines__tool",
                "approvals__waiting_for",
                "approvals__by",
                "approvals__in_place_of",
                "questions__asked_by",
            )
        )

    def show_request(self, pk: UUID, status: int = HTTPStatus.OK) -> Response:
        """Answer with a request as it is now."""
        access_request = self.find(self.visible(), pk=pk)
        return tagged(
            RequestSerializer(access_request, context={"caller": self.caller}).data,
            access_request.version,
            status=status,
        )

    def seen(self, pk: UUID) -> AccessRequest:
        """Return a request that the caller sees, and remember it for a refusal. Raises NotFound."""
        row = self.find(self.visible(), pk=pk)
        self.about = requests.about(row)
        return row

    def terms(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request in a body, with all that it names. Raises UnknownName."""
        agent = named(Agent.objects.all(), "agent", "slug", [body["agent"]])[0]
        entitlement = named(Entitlement.objects.all(), "entitlement", "scope", [body["entitlement"]])[0]
        self.about = [f"agent:{agent.slug}", f"entitlement:{entitlement.scope}"]
        people, groups = self._named_people(agent, body)
        ask = eligibility.RequestTerms(
            lasts=body["lasts"],
            reason=body["reason"],
            people=people,
            groups=groups,
            tools=None if body["tools"] is None else frozenset(body["tools"]),
            limits=body["limits"],
            denied_call=body["denied_call"],
            ticket=body["ticket"],
        )
        return {"agent": agent, "entitlement": entitlement, "ask": ask}

    def _named_people(self, agent: Agent, body: dict[str, Any]) -> tuple[tuple[Person, ...], tuple[Group, ...]]:
        """Find whom the agent shall act for. Strangers do not learn whether a login exists: they get MayNotRequest."""
        by = actions.requester(self.caller)
        try:
            people = named(Person.objects.all(), "people", "login", body["people"])
            groups = named(Group.objects.all(), "groups", "slug", body["groups"])
        except UnknownName as unknown:
            if isinstance(by, Person) and eligibility.may_request_for_others(by, agent):
                raise
            raise eligibility.MayNotRequest from unknown
        return tuple(people), tuple(groups)

    def version(self) -> int | None:
        """Return the version that If-Match names, as `version_of` reads it."""
        return version_of(self.request.headers.get("If-Match", "*"))


def version_of(etag: str) -> int | None:
    """Return the version that an entity tag names: None for any, one that never is where it is unclear."""
    tag = etag.strip()
    if tag == "*":
        return None
    number = tag.removeprefix('"').removesuffix('"')
    exact = number.isascii() and number.isdigit() and len(number) <= _DIGITS and tag == f'"{number}"'
    return int(number) if exact else _NO_VERSION


class RequestFilter(filters.FilterSet):
    """Filters by names, never by row numbers."""

    agent = filters.CharFilter(field_name="agent__slug")
    entitlement = filters.CharFilter(field_name="entitlement__scope")
    system = filters.CharFilter(field_name="entitlement__system__slug")
    state = filters.ChoiceFilter(choices=AccessRequest.State.choices)
    ticket = filters.CharFilter()
    waiting_for = filters.CharFilter(method="that_wait_for")

    class Meta:
        model = AccessRequest
        fields: ClassVar[list[str]] = []

    def that_wait_for(self, rows: QuerySet[AccessRequest], _name: str, login: str) -> QuerySet[AccessRequest]:
        """Keep requests of which a stage waits for this person."""
        stages = Approval.objects.filter(answer=Approval.Answer.WAITING, waiting_for__login=login)
        return rows.filter(pk__in=stages.values("request"))


class Requests(RequestResource, Listing, CreateEndpoint):
    """List access requests, and submit one.

    get: List access requests, the newest first. Filters: agent, entitlement, system, state,
        ticket, and whom they wait for.
    post: Submit an access request. For an agent: an entitlement, all or some of its tools, the people whom it acts
        for, limits, a duration and a business justification. The answer names the approvers.
    """

    action = actions.SUBMIT
    asked = RequestInputSerializer
    shown = RequestSerializer
    serializer_class = RequestSerializer
    filterset_class = RequestFilter
    ordering = ("-asked_at", "-id")

    def rows(self) -> QuerySet[AccessRequest]:
        """Return the visible requests."""
        return self.visible()

    @extend_schema(responses=RequestSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List requests by agent, entitlement, system, state, and by whom they wait for."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(RequestSerializer(page, many=True, context={"caller": self.caller}).data)

    def read(self) -> dict[str, Any]:
        """Read the request: of a person, or of an agent for itself."""
        return self.terms(super().read())

    def answer(self, performed: Performed) -> Response:
        """Answer with the request that was made."""
        return self.show_request(performed.result.pk, HTTPStatus.CREATED)


class One(RequestResource):
    """GET /requests/{id}."""

    @extend_schema(responses=RequestSerializer)
    def get(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Show one request."""
        return self.show_request(asked)


class RequestAction(RequestResource, ActionEndpoint):
    """An action on a request; it compares the version that If-Match names under its own locks."""

    shown = RequestSerializer

    def find_row(self) -> AccessRequest:
        """Return the request that the address names. Raises NotFound."""
        return self.seen(self.kwargs["asked"])

    def check_preconditions(self, row: AccessRequest) -> None:
        """Leave the version to the action."""

    def answer(self, performed: Performed) -> Response:
        """Answer with the request, or with the one that came of it."""
        new = performed.result
        return self.show_request(new.pk if isinstance(new, AccessRequest) else performed.row.pk, self.answers)


@extend_schema(parameters=[IF_MATCH])
class Approve(RequestAction):
    """Approve an access request.

    `If-Match` is needed: you approve what you read. You may narrow tools, limits and duration; nothing can be added.
    """

    action = approval_actions.APPROVE
    asked = NarrowingBody

    def read(self) -> dict[str, Any]:
        """Read what is taken away first."""
        body = super().read()
        version = self.version() if "If-Match" in self.request.headers else _NO_VERSION
        return {"narrow": narrowing(body), "reason": body["reason"], "expected_version": version}

    def perform(self, row: AccessRequest, values: dict[str, Any] | None = None) -> Performed:
        """Approve. Raises PreconditionRequired where nothing else is wrong."""
        try:
            return super().perform(row, values)
        except Stale as stale:
            if "If-Match" not in self.request.headers:
                raise PreconditionRequired from stale
            raise

    def answer(self, performed: Performed) -> Response:
        """Answer with the request; without a proof its approval is undone where its risk is high by now."""
        self.weigh(weighs=self.action.weighs(performed.result))
        return super().answer(performed)


@extend_schema(parameters=[IF_MATCH])
class Deny(RequestAction):
    """Deny an access request, with a reason."""

    action = approval_actions.DENY
    asked = DenialBody

    def read(self) -> dict[str, Any]:
        """Read the reason, which ends the request."""
        return {**super().read(), "expected_version": self.version()}


@extend_schema(parameters=[IF_MATCH])
class Narrow(RequestAction):
    """Narrow an access request that waits for approval. To fewer tools, stricter limits or a shorter time."""

    action = actions.NARROW
    asked = NarrowingBody

    def read(self) -> dict[str, Any]:
        """Read what is taken away, by the requester or by an approver that it waits for."""
        body = super().read()
        return {"what": narrowing(body), "reason": body["reason"], "expected_version": self.version()}


@extend_schema(parameters=[IF_MATCH])
class Cancel(RequestAction):
    """Cancel an access request."""

    action = actions.CANCEL
    asked = OptionalReason

    def read(self) -> dict[str, Any]:
        """Read why its requester withdraws it."""
        return {**super().read(), "expected_version": self.version()}


class Renew(RequestResource, ActionEndpoint):
    """Request the renewal of a grant. The result is an access request, which is approved as any other."""

    action = change_actions.RENEW
    asked = RenewalInputSerializer
    shown = RequestSerializer
    answers = HTTPStatus.CREATED

    def read(self) -> dict[str, Any]:
        """Read how the access goes on, unchanged or narrowed."""
        return renewal_of(super().read())

    def answer(self, performed: Performed) -> Response:
        """Answer with the request that was made."""
        return self.show_request(performed.result.pk, HTTPStatus.CREATED)


class Again(RequestAction):
    """Submit an access request once more."""

    action = change_actions.ASK_AGAIN
    asked = RepeatInputSerializer
    answers = HTTPStatus.CREATED


def renewal_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return what the body of a renewal asks for."""
    what = Narrowing(None if body["tools"] is None else frozenset(body["tools"]), body["limits"])
    return {"lasts": body["lasts"], "reason": body["reason"], "what": what, "ticket": body["ticket"]}


def named[M: Model](rows: QuerySet[M], field: str, key: str, names: list[str]) -> list[M]:
    """Return the rows that the body names. Raises UnknownName for the first name without a row."""
    by_name = {getattr(row, key): row for row in rows.filter(**{f"{key}__in": names})}
    for name in names:
        if name not in by_name:
            raise UnknownName(field=field, name=name)
    return list(by_name.values())
