"""Actions on a submitted request, over REST: edit, ask a question, reassign, appeal, give back."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import InputSerializer, Lasts, Slug, Text
from entitlements.api.preconditions import PreconditionRequired
from entitlements.people.models import Person
from governance.approvals import questions, reassign
from governance.request_changes import appeal, edit
from governance.requests.api import requests
from governance.requests.api.bodies import Limits, Names, RequestSerializer
from governance.requests.api.requests import IF_MATCH, RequestResource, first_hand


class ChangeInputSerializer(InputSerializer):
    """What a request shall be; what is left out stays. `limits` says by tool all that limits it beyond its bundle."""

    tools = Names(required=False, min_length=1)
    limits = Limits(required=False)
    lasts = Lasts(required=False)
    reason = Text(max_length=2000, required=False)


class RequestReasonInputSerializer(InputSerializer):
    """Why, in a sentence or two."""

    reason = Text(max_length=2000)


class QuestionTextInputSerializer(InputSerializer):
    """A question, or the answer to one."""

    text = Text(max_length=2000)


class ReassignmentInputSerializer(InputSerializer):
    """To whom an answer is passed on, and why."""

    to = Slug()
    reason = Text(max_length=2000)


class One(requests.One):
    """GET and PATCH /requests/{id}. A change says by If-Match what it changes."""

    @extend_schema(request=ChangeInputSerializer, responses=RequestSerializer, parameters=[IF_MATCH])
    def patch(self, request: Request, asked: UUID) -> Response:
        """Edit one's open request. Earlier approvals become void, and all stages are answered again."""
        self.seen(asked)
        if "If-Match" not in request.headers:
            raise PreconditionRequired
        body, by = self.body(ChangeInputSerializer), self.requester()
        if "tools" in body:
            body["tools"] = frozenset(body["tools"])
        edit.edit(asked, edit.Change(**body), by=by, expected_version=self.version())
        return self.answer(asked)


class Questions(RequestResource):
    """POST /requests/{id}/questions."""

    @extend_schema(request=QuestionTextInputSerializer, responses={201: RequestSerializer})
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - the framework's signature
        """Ask the requester a question, as an approver that the request waits for."""
        self.seen(asked)
        questions.ask(asked, by=first_hand(self), text=self.body(QuestionTextInputSerializer)["text"])
        return self.answer(asked, HTTPStatus.CREATED)


class Answer(RequestResource):
    """POST /requests/{id}/questions/{question}/answer."""

    @extend_schema(request=QuestionTextInputSerializer, responses=RequestSerializer)
    def post(self, request: Request, asked: UUID, question: UUID) -> Response:  # noqa: ARG002 - as above
        """Answer a question about what one asked for."""
        self.seen(asked)
        questions.answer(asked, question, by=self.requester(), text=self.body(QuestionTextInputSerializer)["text"])
        return self.answer(asked)


class Reassign(RequestResource):
    """POST /requests/{id}/reassign."""

    @extend_schema(request=ReassignmentInputSerializer, responses=RequestSerializer, parameters=[IF_MATCH])
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """Pass the answer that the request waits for on to another of those who may give it."""
        self.seen(asked)
        body, by = self.body(ReassignmentInputSerializer), first_hand(self)
        to = Person.objects.filter(login=body["to"]).first()
        if to is None:  # the answer does not reveal which logins exist
            raise reassign.NotEligible
        reassign.reassign(asked, by=by, to=to, reason=body["reason"], expected_version=self.version())
        return self.answer(asked)


class Appeal(RequestResource):
    """POST /requests/{id}/appeal."""

    @extend_schema(request=RequestReasonInputSerializer, responses={201: RequestSerializer})
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """Appeal a denied or narrowed request: other people decide, security among them."""
        self.seen(asked)
        reason, by = self.body(RequestReasonInputSerializer)["reason"], self.requester()
        new_appeal = appeal.appeal(asked, by=by, reason=reason, on_behalf_of=self.acts_for(by))
        return self.answer(new_appeal.pk, HTTPStatus.CREATED)


class GiveBack(RequestResource):
    """POST /requests/{id}/give-back."""

    @extend_schema(request=RequestReasonInputSerializer, responses=RequestSerializer)
    def post(self, request: Request, asked: UUID) -> Response:  # noqa: ARG002 - as above
        """End the access that came of one's request."""
        self.seen(asked)
        appeal.give_back(asked, by=self.requester(), reason=self.body(RequestReasonInputSerializer)["reason"])
        return self.answer(asked)
