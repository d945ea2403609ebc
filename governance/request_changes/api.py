"""Actions on a submitted request, over REST: edit, ask a question, reassign, appeal, give back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema

from entitlements.api.fields import InputSerializer, Lasts, Slug, Text, Ticket
from entitlements.api.preconditions import PreconditionRequired
from governance.approvals import actions as approval_actions
from governance.request_changes import actions, edit
from governance.requests.api import requests
from governance.requests.api.bodies import Limits, Names
from governance.requests.api.requests import IF_MATCH, RequestAction
from governance.requests.models import AccessRequest


class ChangeInputSerializer(InputSerializer):
    """What a request shall be; what is left out stays. `limits` says by tool all that limits it beyond its bundle."""

    tools = Names(required=False, min_length=1)
    limits = Limits(required=False)
    lasts = Lasts(required=False)
    reason = Text(max_length=2000, required=False)


class RequestReasonInputSerializer(InputSerializer):
    """Why, in a sentence or two."""

    reason = Text(max_length=2000)


class AppealInputSerializer(RequestReasonInputSerializer):
    """Why it is appealed; without a ticket, with that of the request."""

    ticket = Ticket()


class QuestionTextInputSerializer(InputSerializer):
    """A question, or the answer to one."""

    text = Text(max_length=2000)


class ReassignmentInputSerializer(InputSerializer):
    """To whom an answer is passed on, and why."""

    to = Slug()
    reason = Text(max_length=2000)


@extend_schema(methods=["PATCH"], parameters=[IF_MATCH])
class One(requests.One, RequestAction):
    """Show an access request, and edit it.

    get: Show an access request. With its approval routing, and whom it waits for.
    patch: Edit an access request that waits for approval. `If-Match` names the version that you read. Approvals given
        so far are asked for again.
    """

    action = actions.EDIT
    asked = ChangeInputSerializer

    def check_preconditions(self, row: AccessRequest) -> None:  # noqa: ARG002 - the action compares the version
        """Demand If-Match. Raises PreconditionRequired."""
        if "If-Match" not in self.request.headers:
            raise PreconditionRequired

    def read(self) -> dict[str, Any]:
        """Read the changes. Earlier approvals become void, and all stages are answered again."""
        body = super().read()
        if "tools" in body:
            body["tools"] = frozenset(body["tools"])
        return {"change": edit.Change(**body), "expected_version": self.version()}


class Questions(RequestAction):
    """Ask a question about an access request."""

    action = approval_actions.ASK
    asked = QuestionTextInputSerializer
    answers = HTTPStatus.CREATED


class Answer(RequestAction):
    """Answer a question about an access request."""

    action = approval_actions.ANSWER
    asked = QuestionTextInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the answer to a question about what one asked for."""
        return {**super().read(), "question_id": self.kwargs["question"]}


@extend_schema(parameters=[IF_MATCH])
class Reassign(RequestAction):
    """Reassign your step of an access request to another approver."""

    action = approval_actions.REASSIGN
    asked = ReassignmentInputSerializer

    def read(self) -> dict[str, Any]:
        """Read to whom of those who may give it the answer is passed on."""
        return {**super().read(), "expected_version": self.version()}


class Appeal(RequestAction):
    """Appeal a denied or narrowed access request.

    Other people decide, security among them. The grant stays until the appeal is approved.
    """

    action = actions.APPEAL
    asked = AppealInputSerializer
    answers = HTTPStatus.CREATED


class GiveBack(RequestAction):
    """Give back the access that came of an access request. The grant is revoked."""

    action = actions.GIVE_BACK
    asked = RequestReasonInputSerializer
