"""What comes in and goes out at the addresses of requests."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from entitlements.access.caller import Caller
from entitlements.api import preconditions
from entitlements.api.fields import InputSerializer, Lasts, OutputSerializer, Text, Ticket
from entitlements.definitions.primitives import LONGEST_NAME
from governance.approvals.models import Approval, RequestQuestion
from governance.eligibility.narrowing import Narrowing
from governance.requests.models import AccessRequest, RequestLine

_MOST, _LARGEST = 200, 2**53


class Names(serializers.ListField):
    """A list of names."""

    child = Text(max_length=LONGEST_NAME)

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - the framework's signature
        super().__init__(**{"max_length": _MOST, **kwargs})


@extend_schema_field(OpenApiTypes.NUMBER)
class Number(serializers.Field[int | float, int | float, int | float, Any]):
    """A JSON number, no larger than JSON holds exactly."""

    default_error_messages: Final = {"invalid": "A number is needed."}  # type: ignore[misc]

    def to_internal_value(self, data: Any) -> int | float:  # noqa: ANN401 - the framework's signature
        """Refuse all other types, also booleans."""
        if type(data) not in (int, float) or not abs(data) <= _LARGEST:
            self.fail("invalid")
        return data  # type: ignore[no-any-return]  # a number by its type

    def to_representation(self, value: float) -> int | float:
        """Write it as it is."""
        return value


class Limits(serializers.DictField):
    """Limits by tool, each an object by argument; what they mean is checked by the verb."""

    child = serializers.DictField()


class RequestInputSerializer(InputSerializer):
    """A request for access."""

    agent = Text(max_length=64)
    entitlement = Text(max_length=128)
    people = Names(required=False, default=list)
    groups = Names(required=False, default=list)
    tools = Names(required=False, allow_null=True, default=None)
    limits = Limits(required=False, default=dict)
    lasts = Lasts()
    reason = Text(max_length=2000)
    ticket = Ticket()
    denied_call = serializers.UUIDField(required=False, allow_null=True, default=None)


class NarrowingBody(InputSerializer):
    """What to keep of a request, and why. What is left out stays as it is."""

    tools = Names(required=False, allow_null=True, default=None)
    limits = Limits(required=False, default=dict)
    lasts = Lasts(required=False, allow_null=True, default=None)
    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


def narrowing(body: dict[str, Any]) -> Narrowing:
    """Return what a body of `NarrowingBody` keeps."""
    tools = None if body["tools"] is None else frozenset(body["tools"])
    return Narrowing(tools, body["limits"], body["lasts"])


class RenewalInputSerializer(NarrowingBody):
    """How long access shall go on, and why; what is left out stays as it is."""

    lasts = Lasts()
    reason = Text(max_length=2000)
    ticket = Ticket()


class RepeatInputSerializer(InputSerializer):
    """Why it is asked for again; without a time, for as long as then."""

    lasts = Lasts(required=False, allow_null=True, default=None)
    reason = Text(max_length=2000)
    ticket = Ticket()


class OptionalReason(InputSerializer):
    """A reason that may be left out."""

    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class DenialBody(OptionalReason):
    """Why something is denied: a word for it, and a reason."""

    because = serializers.ChoiceField(choices=Approval.Because.choices, required=False, default="")


class LineShown(OutputSerializer):
    """One tool that was asked for, and what is left of it."""

    tool = serializers.CharField(source="tool.name")
    risk = serializers.CharField(source="tool.risk")
    kept = serializers.BooleanField()
    asked_limits = serializers.JSONField()
    limits = serializers.JSONField()


class StageSerializer(OutputSerializer):
    """One stage: whom it waits for while it waits, then who answered what.

    `resolution` says why these people; it is for those who may see everything.
    """

    stage = serializers.CharField()
    waiting_for = serializers.SerializerMethodField()
    answer = serializers.ChoiceField(choices=Approval.Answer.choices)
    by = serializers.CharField(source="by.login", default=None, allow_null=True)
    in_place_of = serializers.CharField(source="in_place_of.login", default=None, allow_null=True)
    reason = serializers.CharField()
    denied_as = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)
    resolution = serializers.JSONField()

    def get_waiting_for(self, stage: Approval) -> list[str]:
        """List the logins."""
        waits = stage.answer == Approval.Answer.WAITING
        return sorted(person.login for person in stage.waiting_for.all()) if waits else []

    def to_representation(self, instance: Approval) -> dict[str, Any]:
        """Leave out fields of an answer not given yet, and the evidence where the caller may not read it."""
        data = super().to_representation(instance)
        caller = self.context.get("caller")
        hidden = set() if isinstance(caller, Caller) and caller.sees_everything else {"resolution"}
        if instance.answer == Approval.Answer.WAITING:
            hidden |= {"answer", "by", "in_place_of", "reason", "denied_as", "answered_at"}
        return {name: value for name, value in data.items() if name not in hidden}


class QuestionShown(OutputSerializer):
    """What an approver asked back, and what was answered."""

    id = serializers.UUIDField()
    asked_by = serializers.CharField(source="asked_by.login")
    text = serializers.CharField()
    asked_at = serializers.DateTimeField()
    answered_as = serializers.CharField()
    answer = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)


class RequestSerializer(OutputSerializer):
    """A request: what was asked, what is left of it, whom it waits for, and the grant that it became."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=AccessRequest.State.choices)
    etag = serializers.SerializerMethodField()
    agent = serializers.CharField(source="agent.slug")
    entitlement = serializers.CharField(source="entitlement.scope")
    system = serializers.CharField(source="entitlement.system.slug")
    people = serializers.SerializerMethodField()
    groups = serializers.SerializerMethodField()
    lines = serializers.SerializerMethodField()
    lasts = Lasts()
    asked_lasts = Lasts()
    reason = serializers.CharField()
    ticket = serializers.CharField()
    risk = serializers.CharField()
    requested_as = serializers.CharField()
    requested_by = serializers.CharField(source="requested_by.login", default=None, allow_null=True)
    asked_at = serializers.DateTimeField()
    answer_by = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    denied_call = serializers.UUIDField(allow_null=True)
    trace = serializers.CharField()
    renews = serializers.UUIDField(source="renews_id", allow_null=True)
    appeals = serializers.UUIDField(source="appeals_id", allow_null=True)
    grant = serializers.UUIDField(source="grant_id", allow_null=True)
    approvals = serializers.SerializerMethodField()
    questions = serializers.SerializerMethodField()

    def get_etag(self, request: AccessRequest) -> str:
        """Return what to send as If-Match."""
        return preconditions.etag(request.version)

    def get_people(self, request: AccessRequest) -> list[str]:
        """List the logins."""
        return sorted(person.login for person in request.people.all())

    def get_groups(self, request: AccessRequest) -> list[str]:
        """List the slugs."""
        return sorted(group.slug for group in request.groups.all())

    def get_lines(self, request: AccessRequest) -> list[dict[str, Any]]:
        """List the tools by name."""
        lines: list[RequestLine] = sorted(request.lines.all(), key=lambda line: line.tool.name)
        return [LineShown(line).data for line in lines]

    def get_approvals(self, request: AccessRequest) -> list[dict[str, Any]]:
        """List the stages in order."""
        stages: list[Approval] = sorted(request.approvals.all(), key=lambda stage: stage.position)
        return [StageSerializer(stage, context=self.context).data for stage in stages]

    def get_questions(self, request: AccessRequest) -> list[dict[str, Any]]:
        """List what was asked back, in order."""
        questions: list[RequestQuestion] = sorted(request.questions.all(), key=lambda question: question.asked_at)
        return [QuestionShown(question).data for question in questions]
