"""Decisions explained over REST: why one was made, who can call a tool, what a change would have denied."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.api import paging
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import OutputSerializer
from entitlements.api.resources import CreateEndpoint, Detail, Listing
from entitlements.catalog.models import Entitlement, Tool
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.errors import Malformed, NotFound
from entitlements.grants.models import Grant
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.decisions import history
from governance.decisions.queries import readable, who_can, why
from governance.decisions.queries.who_can import Access
from governance.decisions.queries.why import Why
from governance.decisions.steps import Outcome
from governance.what_if import actions
from governance.what_if.models import WhatIf


class BadMoment(Malformed):
    """`at` must be a past time in ISO 8601 with an offset."""

    code = "moment_malformed"


class BadTool(Malformed):
    """`tool` must name a tool as system/tool; or name an `entitlement` instead, not both."""

    code = "tool_name_malformed"


class RecordedReasonSerializer(OutputSerializer):
    """One thing that spoke. `code` is null where only a sentence was recorded."""

    code = serializers.CharField(allow_null=True)
    sentence = serializers.CharField()


class RuleAnswerSerializer(OutputSerializer):
    """One rule, in the order in which the decision function asks."""

    rule = serializers.CharField(source="rule.key")
    asks = serializers.CharField(source="rule.asks")
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    reasons = RecordedReasonSerializer(many=True)


class GrantThenSerializer(OutputSerializer):
    """The grant that the decision names, as it was then; with `is_of_then` false as it is now, since no record tells.

    `limits` are null where it did not hold the tool.
    """

    id = serializers.UUIDField(source="grant.pk")
    entitlement = serializers.CharField(source="grant.entitlement.scope")
    limits = serializers.DictField(allow_null=True)
    expires_at = serializers.DateTimeField()
    state = serializers.CharField()
    is_of_then = serializers.BooleanField()


class SessionThenSerializer(OutputSerializer):
    """The session that the call belonged to."""

    id = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    auth_time = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ExplanationSerializer(OutputSerializer):
    """One decision, explained. `status`: of what it names, at that moment; `unknown`: what no record tells."""

    evaluation = serializers.UUIDField(source="event.uuid")
    at = serializers.DateTimeField(source="event.at")
    action = serializers.CharField(source="event.action")
    effect = serializers.CharField()
    code = serializers.ChoiceField(choices=[code.value for code in Code])
    sentence = serializers.CharField(source="meaning.sentence")
    remedy = serializers.CharField(source="meaning.remedy")
    actor = serializers.CharField(source="event.actor")
    on_behalf_of = serializers.CharField(source="event.on_behalf_of", allow_blank=True)
    links = serializers.ListField(child=serializers.CharField(), source="event.about")
    steps = RuleAnswerSerializer(many=True)
    grant = GrantThenSerializer(allow_null=True)
    session = SessionThenSerializer(allow_null=True)
    scopes = serializers.CharField(allow_null=True)
    status = serializers.DictField(child=serializers.CharField())
    detail = serializers.DictField(source="event.detail")
    unknown = serializers.ListField(child=serializers.CharField())
    cause = serializers.SerializerMethodField()

    def get_cause(self, found: Why) -> UUID | None:
        """Return the event that made a denial true; null where no record tells, or the caller may not read it."""
        event = found.cause
        return event.uuid if event is not None and readable.reads(self.context["caller"], event) else None


class WhyEndpoint(Endpoint):
    """Explain a decision.

    Each rule that was asked, in the order of the decision function, with what it said and the facts of that moment as
    recorded.
    """

    matrix: ClassVar[Matrix] = MATRIX
    parameters = frozenset({"evaluation"})

    @extend_schema(
        parameters=[OpenApiParameter("evaluation", str, required=True, description="The id of the decision's event.")],
        responses=ExplanationSerializer,
    )
    def get(self, request: Request) -> Response:
        """Return why a decision was made."""
        event = readable.find(self.caller, request.query_params.get("evaluation", ""))
        return Response(ExplanationSerializer(why.explain(event), context={"caller": self.caller}).data)


class GroupReachSerializer(OutputSerializer):
    """A group that the grant names."""

    slug = serializers.CharField()
    members = serializers.IntegerField()
    active = serializers.IntegerField()


class ToolAccessSerializer(OutputSerializer):
    """One grant of the tool. `can_call`: whether a call can pass with some arguments and a fresh sign-in.

    `people` are named directly. `people_count` are all, with those of groups; `active_count` those among them who are
    active. With `terms_unknown` the log does not tell the terms of then, and they are those of now. Of an
    entitlement, `tools` are all that the grant gives, and the answer is that for the tool that is answered best.
    """

    grant = serializers.UUIDField(source="grant.pk")
    agent = serializers.CharField(source="grant.agent.slug")
    entitlement = serializers.CharField(source="grant.entitlement.scope")
    people = serializers.ListField(child=serializers.CharField())
    groups = GroupReachSerializer(many=True)
    people_count = serializers.IntegerField(source="count")
    active_count = serializers.SerializerMethodField()
    limits = serializers.DictField()
    starts_at = serializers.DateTimeField(source="grant.starts_at")
    expires_at = serializers.DateTimeField()
    can_call = serializers.BooleanField(source="is_callable")
    effect = serializers.CharField(source="verdict.effect.value")
    code = serializers.CharField(source="verdict.code.value")
    sentence = serializers.CharField(source="verdict.sentence")
    terms_unknown = serializers.BooleanField(source="unknown")

    tools = serializers.SerializerMethodField()

    def get_tools(self, access: Access) -> list[dict[str, Any]]:
        """Return the answer for each tool of the grant, where an entitlement was asked about; else for the one."""
        return [
            {
                "tool": each.tool,
                "limits": dict(each.limits),
                "can_call": each.is_callable,
                "code": each.verdict.code.value,
            }
            for each in access.tools or (access,)
        ]

    def get_active_count(self, access: Access) -> int:
        """Count the active people."""
        return len(access.served)


class AgentAnswerSerializer(OutputSerializer):
    """The best answer that the agent gets: for the person, or for any that its grants serve."""

    can_call = serializers.SerializerMethodField()
    code = serializers.CharField(source="code.value")
    sentence = serializers.CharField()

    def get_can_call(self, verdict: Verdict) -> bool:
        """Say whether some call can pass: at once, with a person's approval, or after a fresh sign-in."""
        return verdict.effect is not Effect.DENY


class WhoCanSerializer(OutputSerializer):
    """A page of the grants of a tool or an entitlement; `answer` is there where a tool and an agent are named.

    Of a past moment, `not_reconstructed` is as it is now.
    """

    tool = serializers.CharField(allow_null=True)
    entitlement = serializers.CharField(allow_null=True)
    answer = AgentAnswerSerializer(allow_null=True)
    at = serializers.DateTimeField()
    not_reconstructed = serializers.ListField(child=serializers.CharField())
    results = ToolAccessSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def moment_of(text: str | None) -> datetime | None:
    """Read a past moment; None for now. Raises BadMoment."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an offset's plus sign, as a form's address writes it
    except ValueError as error:
        raise BadMoment from error
    if moment.tzinfo is None or moment > clock.now():
        raise BadMoment
    return moment


def tool_of(caller: Caller, name: str) -> Tool:
    """Return the tool that a caller names. Raises BadTool, NotFound."""
    system, slash, tool = name.partition("/")
    if not slash or not system or not tool:
        raise BadTool
    found = visibility.tools(caller).filter(system__slug=system, name=tool).first()
    if found is None:
        raise NotFound
    return found


def entitlement_of(caller: Caller, scope: str) -> Entitlement:
    """Return the entitlement that a caller names by its scope. Raises NotFound."""
    found = visibility.entitlements(caller).filter(scope=scope).select_related("system").first()
    if found is None:
        raise NotFound
    return found


class WhoCan(Listing):
    """List who can call a tool, or the tools of an entitlement.

    Each grant of it that you see: for whom, with which limits, until when, and what keeps a call from passing; now, or
    at a past moment.
    """

    matrix: ClassVar[Matrix] = MATRIX
    parameters = frozenset({"tool", "entitlement", "agent", "person", "at"})
    shown = ToolAccessSerializer

    def get_queryset(self) -> QuerySet[Grant]:
        """Return nothing, for the schema."""
        return Grant.objects.none()

    @extend_schema(
        parameters=[
            OpenApiParameter("tool", str, description="The tool, as system/tool."),
            OpenApiParameter("entitlement", str, description="Instead of a tool: the entitlement, by its scope."),
            OpenApiParameter("agent", str, description="Only the grants of this agent, by its slug."),
            OpenApiParameter("person", str, description="Only the grants that serve this person, by their login."),
            OpenApiParameter("at", str, description="A past moment in ISO 8601 with an offset; by default now."),
            OpenApiParameter(paging.CURSOR, str, description="Where the page before ended."),
            OpenApiParameter(paging.LIMIT, int, description="How many rows at most."),
        ],
        responses=WhoCanSerializer,
    )
    def get(self, request: Request) -> Response:
        """Return one page of the grants that give a tool, or of those of an entitlement. Raises BadTool for both."""
        moment, asked = moment_of(request.query_params.get("at")), request.query_params
        agent = self._named("agent", visibility.agents(self.caller), "slug")
        person = self._named("person", visibility.people(self.caller), "login")
        tool = entitlement = decided = None
        if "entitlement" in asked and "tool" not in asked:
            entitlement = entitlement_of(self.caller, asked["entitlement"])
            rows = who_can.narrowed(who_can.rows_of(self.caller, entitlement, moment), agent, person, moment)
            page = list(self.paginate_queryset(rows) or [])
            found = who_can.describe_all(page, moment)
        else:
            tool = tool_of(self.caller, "" if "entitlement" in asked else asked.get("tool", ""))
            rows = who_can.narrowed(who_can.rows(self.caller, tool, moment), agent, person, moment)
            page = list(self.paginate_queryset(rows) or [])
            found = who_can.describe(page, tool, moment, person)
            decided = who_can.decide(self.caller, tool, agent, person, moment)[0] if agent else None
        answer: dict[str, Any] = {
            "tool": None if tool is None else f"{tool.system.slug}/{tool.name}",
            "entitlement": None if entitlement is None else entitlement.scope,
            "answer": decided,
            "at": moment or clock.now(),
            "not_reconstructed": [] if moment is None else history.NOT_RECONSTRUCTED,
            "results": found,
            "next": self.paginator.next,  # type: ignore[union-attr]  # our own
        }
        return Response(WhoCanSerializer(answer).data)

    def _named[M: Model](self, name: str, rows: QuerySet[M], key: str) -> M | None:
        """Return what the address names of some rows; None where it names nothing. Raises NotFound."""
        asked = self.request.query_params.get(name)
        found = rows.filter(**{key: asked}).first() if asked else None
        if asked and found is None:
            raise NotFound
        return found


class WhatIfSerializer(OutputSerializer):
    """A replay. Counts are so far, until it is finished.

    `denied`: pass now, and would not. `denied_anyway`: do not pass now either, `over_budget` of them for a budget that
    is used up. `unknown`: no record tells. `unseen` are systems of these agents whose calls do not pass the gateway,
    and are in no count.
    """

    id = serializers.UUIDField()
    change = serializers.DictField()
    days = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["waiting", "running", "finished", "failed"])
    percent = serializers.IntegerField()
    asked_by = serializers.CharField(source="asked_by.login")
    asked_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    calls = serializers.SerializerMethodField()
    denied = serializers.SerializerMethodField()
    denied_anyway = serializers.SerializerMethodField()
    over_budget = serializers.SerializerMethodField()
    unknown = serializers.SerializerMethodField()
    unseen = serializers.SerializerMethodField()
    by = serializers.SerializerMethodField()
    people = serializers.SerializerMethodField()

    def get_people(self, row: WhatIf) -> list[dict[str, Any]]:
        """Return the denials by the person acted for, the most first."""
        return list(row.figure("people") or [])

    def get_calls(self, row: WhatIf) -> int:
        """Count the recorded calls that were read."""
        return int(row.figure("calls"))

    def get_denied(self, row: WhatIf) -> int:
        """Count those that the change would deny."""
        return int(row.figure("denied"))

    def get_denied_anyway(self, row: WhatIf) -> int:
        """Count those that are denied without it, too."""
        return int(row.figure("denied_anyway"))

    def get_over_budget(self, row: WhatIf) -> int:
        """Count those of them that a budget denies which is used up."""
        return int(row.figure("over_budget"))

    def get_unknown(self, row: WhatIf) -> int:
        """Count those of which no record tells."""
        return int(row.figure("unknown"))

    def get_unseen(self, row: WhatIf) -> list[str]:
        """Name the systems whose calls are not seen."""
        return list(row.figure("unseen") or [])

    def get_by(self, row: WhatIf) -> list[dict[str, Any]]:
        """Return the denials by agent, tool and code, the most first."""
        return list(row.figure("by") or [])


class WhatIfCreate(CreateEndpoint):
    """Replay a change.

    How many calls of the last days it would have denied, by agent, tool and code. Nothing is changed. A worker reads a
    day at a time; the answer names the replay.
    """

    matrix: ClassVar[Matrix] = MATRIX
    shown = WhatIfSerializer
    shows_result = True
    action = actions.BEGIN


class WhatIfDetail(Detail):
    """Show a replay of a change."""

    matrix: ClassVar[Matrix] = MATRIX
    shown = WhatIfSerializer
    subject = actions.WHAT_IF
