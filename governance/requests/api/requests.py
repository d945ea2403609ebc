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

from entitlements.access import reauthentication, visibility
from entitlements.agents.models import Agent
from entitlements.api.endpoints import Endpoint
from entitlements.api.matrix import Matrix
from entitlements.api.preconditions import PreconditionRequired
from entitlements.api.resources import Listing, tagged
from entitlements.catalog.models import Entitlement
from entitlements.errors import DomainError, Stale
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people.models import Group, Person
from governance.api.matrix import MATRIX
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.approvals.rules import NotAnApprover
from governance.eligibility import eligibility
from governance.eligibility.narrowing import Narrowing
from governance.request_changes import renewal
from governance.requests import requests
from governance.requests.models import AccessRequest

from .bodies import (
    DenialBody,
    NarrowingBody,
    OptionalReason,
    RenewalInputSerializer,
    RepeatInputSerializer,
    RequestInputSerializer,
    RequestSerializer,
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

    def requester(self) -> eligibility.Requester:
        """Return the person or the agent that acts. Raises MayNotRequest for a script."""
        asker = self.caller.agent or self.caller.human
        if asker is None:
            raise eligibility.MayNotRequest
        return asker

    def visible(self) -> QuerySet[AccessRequest]:
        """Return what the caller may see."""
        rows = AccessRequest.objects.all() if self.caller.is_script else requests.visible_to(self.requester())
        return rows.select_related("agent", "entitlement__system", "requested_by").prefetch_related(
            "people",
            "groups",
            "lines__tool",
            "approvals__waiting_for",
            "approvals__by",
            "approvals__in_place_of",
            "questions__asked_by",
        )

    def answer(self, pk: UUID, status: HTTPStatus = HTTPStatus.OK) -> Response:
        """Answer with a request as it is now."""
        access_request = self.find(self.visible(), pk=pk)
        return tagged(
            RequestSerializer(access_request, context={"caller": self.caller}).data,
            access_request.version,
            status=status,
        )

    def seen(self, pk: UUID) -> None:
        """Check that the caller sees a request, and remember it for a refusal. Raises NotFound."""
        self.about = requests.about(self.find(self.visible(), pk=pk))

    def ask(self, body: dict[str, Any]) -> AccessRequest:
        """Submit the request in a body. Raises what requests.submit raises, and UnknownName."""
        by = self.requester()
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
        )
        return requests.submit(agent, entitlement, ask, by=by, on_behalf_of=self.acts_for(by))

    def held(self, grant_id: UUID) -> Grant:
        """Return a grant, and remember its links. Raises NotFound before the body is read."""
        grant = self.find(visibility.grants(self.caller), pk=grant_id)
        self.about = grants.about(grant)
        return grant

    def renew(self, grant: Grant, body: dict[str, Any]) -> AccessRequest:
        """Request the renewal of a grant, as a body says. Raises what renewal.renew raises."""
        by = self.requester()
        narrowing = Narrowing(None if body["tools"] is None else frozenset(body["tools"]), body["limits"])
        details = {"lasts": body["lasts"], "reason": body["reason"], "what": narrowing}
        return renewal.renew(grant.pk, by=by, on_behalf_of=self.acts_for(by), **details)

    def acts_for(self, by: eligibility.Requester) -> Person | None:
        """Return the user in whose session an agent asks; a person asks for themselves."""
        return self.caller.person if isinstance(by, Agent) else None

    def _named_people(self, agent: Agent, body: dict[str, Any]) -> tuple[tuple[Person, ...], tuple[Group, ...]]:
        """Find whom the agent shall act for. Strangers do not learn whether a login exists: they get MayNotRequest."""
        by = self.requester()
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
    waiting_for = filters.CharFilter(method="that_wait_for")

    class Meta:
        model = AccessRequest
        fields: ClassVar[list[str]] = []

    def that_wait_for(self, rows: QuerySet[AccessRequest], _name: str, login: str) -> QuerySet[AccessRequest]:
        """Keep requests of which a stage waits for this person."""
        stages = Approval.objects.filter(answer=Approval.Answer.WAITING, waiting_for__login=login)
        return rows.filter(pk__in=stages.values("request"))


class Requests(RequestResource, Listing):
    """GET and POST /requests."""

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

    @extend_schema(request=RequestInputSerializer, responses={201: RequestSerializer})
    def post(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """Ask for access: as a person, or as an agent for itself."""
        return self.answer(self.ask(self.body(RequestInputSerializer)).pk, HTTPStatus.CREATED)


class One(RequestResource):
    """GET /requests/{id}."""

    @extend_schema(responses=RequestSerializer)
    def get(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Show one request."""
        return self.answer(asked)


class Approve(RequestResource):
    """POST /requests/{id}/approve. If-Match is needed: what is approved is what was read."""

    @extend_schema(request=NarrowingBody, responses=RequestSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, asked: UUID) -> Response:
        """Approve, taking away first where wished; the last approval issues the grant. Without a proof it is undone."""
        self.seen(asked)
        body, by = self.body(NarrowingBody), first_hand(self)
        unread = "If-Match" not in request.headers
        try:
            answered = approvals.approve(
                asked,
                by=by,
                expected_version=_NO_VERSION if unread else self.version(),
                narrow=_narrowing(body),
                reason=body["reason"],
            )
        except Stale as stale:
            if unread:
                raise PreconditionRequired from stale
            raise
        self.weigh(weighs=answered.risk in reauthentication.HIGH)
        return self.answer(asked)


class Deny(RequestResource):
    """POST /requests/{id}/deny."""

    @extend_schema(request=DenialBody, responses=RequestSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Deny, with a reason, which ends the request."""
        self.seen(asked)
        approvals.deny(asked, by=first_hand(self), expected_version=self.version(), **self.body(DenialBody))
        return self.answer(asked)


class Narrow(RequestResource):
    """POST /requests/{id}/narrow."""

    @extend_schema(request=NarrowingBody, responses=RequestSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """Narrow the request, as the requester or as an approver that it waits for."""
        self.seen(asked)
        body, by = self.body(NarrowingBody), self.requester()
        requests.narrow(asked, by, _narrowing(body), expected_version=self.version(), reason=body["reason"])
        return self.answer(asked)


class Cancel(RequestResource):
    """POST /requests/{id}/cancel."""

    @extend_schema(request=OptionalReason, responses=RequestSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """Withdraw the request, as its requester."""
        self.seen(asked)
        reason = self.body(OptionalReason)["reason"]
        requests.cancel(asked, self.requester(), expected_version=self.version(), reason=reason)
        return self.answer(asked)


class Renew(RequestResource):
    """POST /grants/{id}/renew."""

    @extend_schema(request=RenewalInputSerializer, responses={201: RequestSerializer})
    def post(self, request: Request, grant: UUID) -> Response:  # noqa: ARG002 - as above
        """Request that access which ends soon is renewed, unchanged or narrowed."""
        held = self.held(grant)
        return self.answer(self.renew(held, self.body(RenewalInputSerializer)).pk, HTTPStatus.CREATED)


class Again(RequestResource):
    """POST /requests/{id}/again."""

    @extend_schema(request=RepeatInputSerializer, responses={201: RequestSerializer})
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """Ask once more for what was denied, withdrawn or not answered in time."""
        self.seen(asked)
        body, by = self.body(RepeatInputSerializer), self.requester()
        new_request = renewal.ask_again(asked, by=by, on_behalf_of=self.acts_for(by), **body)
        return self.answer(new_request.pk, HTTPStatus.CREATED)


def first_hand(view: RequestResource) -> Person:
    """Return the person who answers. Raises NotAnApprover for an agent or a script."""
    if view.caller.human is None:
        raise NotAnApprover
    return view.caller.human


def _narrowing(body: dict[str, Any]) -> Narrowing:
    tools = None if body["tools"] is None else frozenset(body["tools"])
    return Narrowing(tools, body["limits"], body["lasts"])


def named[M: Model](rows: QuerySet[M], field: str, key: str, names: list[str]) -> list[M]:
    """Return the rows that the body names. Raises UnknownName for the first name without a row."""
    by_name = {getattr(row, key): row for row in rows.filter(**{f"{key}__in": names})}
    for name in names:
        if name not in by_name:
            raise UnknownName(field=field, name=name)
    return list(by_name.values())
