"""Several requests answered at once: each as it was read, for itself, by the rules of one (207, RFC 4918)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from entitlements.api.bulk import MOST, Bulk, Outcome
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.errors import ReasonRequired
from governance.approvals import actions
from governance.approvals.models import Approval
from governance.requests.api.requests import RequestResource, version_of


class NamedRequest(InputSerializer):
    """A request, and the `etag` that it had when it was read: what is answered is what was read."""

    id = serializers.UUIDField()
    etag = Text(max_length=64)


class AnswersInputSerializer(InputSerializer):
    """Requests to answer, and why."""

    items = serializers.ListField(child=NamedRequest(), min_length=1, max_length=MOST)
    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class DenialsInputSerializer(AnswersInputSerializer):
    """Requests to deny, and why: a word for it, and a reason."""

    because = serializers.ChoiceField(choices=Approval.Because.choices, required=False, default="")


class RequestResultSerializer(Outcome):
    """What became of one request: 200 with its state and the grant that it became, or a problem."""

    id = serializers.UUIDField()
    grant = serializers.UUIDField(allow_null=True, default=None)


class RequestResultsSerializer(OutputSerializer):
    """What became of each, in the order in which they were named."""

    results = RequestResultSerializer(many=True)


class _Answers(RequestResource, Bulk):
    asked, shown, names = AnswersInputSerializer, RequestResultsSerializer, ("id",)


class ApproveRequests(_Answers):
    """Approve several access requests. Each as it was read, on its own, with its own result."""

    action = actions.APPROVE

    def act_on(self, named: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Approve one."""
        row = self.seen(named["id"])
        values = {"expected_version": version_of(body["etag"]), "reason": body["reason"]}
        answered = self.action.perform(row, self.caller, values).result
        self.weigh(weighs=self.action.weighs(answered))  # without a proof it is undone
        return {"state": answered.state, "grant": answered.grant_id}


class DenyRequests(_Answers):
    """Deny several access requests with a reason. Each as it was read, on its own, with its own result."""

    action = actions.DENY
    asked = DenialsInputSerializer

    def each(self, items: list[dict[str, Any]], **common: Any) -> Response:  # noqa: ANN401 - as the base's
        """Deny each. Raises ReasonRequired."""
        if not common["reason"].strip():
            raise ReasonRequired
        return super().each(items, **common)

    def act_on(self, named: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Deny one."""
        row = self.seen(named["id"])
        words: dict[str, Any] = {name: body[name] for name in ("reason", "because") if name in body}
        answered = self.action.perform(row, self.caller, {**words, "expected_version": version_of(body["etag"])})
        return {"state": answered.result.state}
