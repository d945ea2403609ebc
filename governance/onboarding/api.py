"""Onboarding over REST: send a file of existing access, ask sponsors, answer, confirm; move and undo."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.access import visibility
from entitlements.agents.api import AgentSerializer
from entitlements.api.fields import InputSerializer, OutputSerializer, ReasonInputSerializer, Slug, Text
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.catalog.models import System
from entitlements.catalog_files.api import imports
from entitlements.errors import NotFound
from entitlements.people.api import known_person
from entitlements.permissions.matrix import Matrix
from entitlements.unmanaged_agents.models import UnmanagedAgent
from governance.api.matrix import MATRIX
from governance.onboarding import actions, batches, files, queries
from governance.onboarding import grants as grants_actions
from governance.onboarding.models import OnboardedAgent, OnboardingBatch


class OnboardingBatchSerializer(OutputSerializer):
    """One file of access: how much was read of it, what was refused, and how far it has come."""

    id = serializers.UUIDField()
    source = serializers.ChoiceField(choices=OnboardingBatch.Source.choices)  # type: ignore[assignment]  # a field's word
    file_name = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    lines_read = serializers.IntegerField()
    state = serializers.ChoiceField(choices=OnboardingBatch.State.choices)
    brought_by = serializers.CharField(source="brought_by.login")
    made_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    problems = imports.ProblemDetailsSerializer(many=True)
    problems_left_out = serializers.IntegerField()


class PieceSerializer(OutputSerializer):
    """One grant that would be made."""

    entitlement = serializers.CharField()
    tools = serializers.ListField(child=serializers.CharField())
    people = serializers.IntegerField()
    groups = serializers.IntegerField()
    logins = serializers.ListField(child=serializers.CharField())
    group_slugs = serializers.ListField(child=serializers.CharField())


class LeftOutSerializer(OutputSerializer):
    """What needs a request instead, and how many lines say so."""

    code = serializers.CharField()
    system = serializers.CharField()
    tool = serializers.CharField()
    lines = serializers.IntegerField()
    message = serializers.CharField()


class OnboardedAgentSerializer(OutputSerializer):
    """One agent of a file, by what it was matched, who is asked, and what would be made of its lines."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField(source="seen.name")
    client_id = serializers.CharField(source="seen.client_id")
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    because = serializers.CharField(source="seen.because")
    sponsor = serializers.CharField(source="sponsor.login", allow_null=True, default=None)
    wanted = serializers.CharField()
    state = serializers.ChoiceField(choices=OnboardedAgent.State.choices)
    problem = serializers.CharField()
    grants = PieceSerializer(many=True)
    left = LeftOutSerializer(many=True)


class AccessFileInputSerializer(InputSerializer):
    """A file, as `text` or in a form as `file`. `agent` names whose a client configuration is."""

    text = Text(max_length=files.LARGEST, trim_whitespace=False)
    file_name = Text(max_length=200, required=False)
    agent = Text(max_length=200, required=False)


class SponsorOf(InputSerializer):
    """The proposed sponsor of one agent of the file."""

    id = serializers.IntegerField(min_value=1, max_value=2**53)
    sponsor = Text(max_length=64)


class SponsorsInputSerializer(InputSerializer):
    """One sponsor for all, one by agent, or whom the file names."""

    sponsor = Text(max_length=64, required=False)
    each = serializers.ListField(child=SponsorOf(), max_length=1000, required=False)
    reason = Text(max_length=500)


class Answer(InputSerializer):
    """Whether the caller accepts their agents of the file: all of them, or `agents` by id."""

    accept = serializers.BooleanField()
    agents = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**53), required=False)
    reason = Text(max_length=500, required=False)


class OutcomeSerializer(OutputSerializer):
    """What was onboarded, and by agent the rules that refused a grant."""

    agents = serializers.IntegerField()
    grants = serializers.IntegerField()
    refused = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))


class UnmanagedAgentSerializer(OutputSerializer):
    """An agent that was seen in a file or a log, and what was decided about it."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    client_id = serializers.CharField()
    state = serializers.ChoiceField(choices=UnmanagedAgent.State.choices)
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    because = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field's word
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    decided_by = serializers.CharField()
    reason = serializers.CharField()


class MatchInputSerializer(ReasonInputSerializer):
    """Which agent of ours it is, and why."""

    agent = Slug()


class CutOverInputSerializer(ReasonInputSerializer):
    """At which system, or at all; and why."""

    system = Slug(required=False)


class SeenFilter(filters.FilterSet):
    """Filters of the list."""

    state = filters.ChoiceFilter(choices=UnmanagedAgent.State.choices)
    name = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = UnmanagedAgent
        fields: ClassVar[list[str]] = []


class BatchFilter(filters.FilterSet):
    """Filters of the list."""

    state = filters.ChoiceFilter(choices=OnboardingBatch.State.choices)

    class Meta:
        model = OnboardingBatch
        fields: ClassVar[list[str]] = []


class AdoptedFilter(filters.FilterSet):
    """Filters of the list."""

    state = filters.ChoiceFilter(choices=OnboardedAgent.State.choices)

    class Meta:
        model = OnboardedAgent
        fields: ClassVar[list[str]] = []


def with_plans(rows: list[OnboardedAgent]) -> list[OnboardedAgent]:
    """Add to agents of a file the grants that would be made of their lines."""
    plans = batches.plans(rows)
    logins, slugs = grants_actions.named(plans.values())
    for row in rows:
        plan = plans[row.pk]
        row.grants = [  # type: ignore[attr-defined]  # what is shown of the plan
            {
                "entitlement": piece.entitlement.scope,
                "tools": [line.tool.name for line in piece.lines],
                "people": len(piece.people),
                "groups": len(piece.groups),
                "logins": sorted(logins[pk] for pk in piece.people),
                "group_slugs": sorted(slugs[pk] for pk in piece.groups),
            }
            for piece in plan.pieces
        ]
        row.left = plan.left_as_json()  # type: ignore[attr-defined]  # as above
    return rows


class _Batches(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = OnboardingBatchSerializer

    subject = actions.BATCH


class OnboardingBatches(_Batches, Listing, CreateEndpoint):
    """List onboarding files, and send one.

    get: List onboarding files, the newest first.
    post: Send an onboarding file. It is read and matched with what Mandate knows. No access comes of it before
        sponsors have accepted and an analyst has confirmed.
    """

    parser_classes = (imports.JSON, imports.Form)  # type: ignore[assignment]  # wider than the base's
    filterset_class = BatchFilter
    action = actions.BRING
    asked = AccessFileInputSerializer
    ordering = ("-made_at", "-id")

    def read(self) -> dict[str, Any]:
        """Read the file. The same content again answers with the batch of before."""
        body = super().read()
        name, agent = body.get("file_name") or "access", body.get("agent", "")
        return {"content": body["text"].encode(), "file_name": name, "agent": agent}


class OnboardingBatchDetail(_Batches, Detail):
    """Show an onboarding file."""


class OnboardingAgents(Listing):
    """List the agents of an onboarding file. With what would become of their lines."""

    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = OnboardedAgentSerializer
    filterset_class = AdoptedFilter

    def rows(self) -> QuerySet[OnboardedAgent]:
        """Return those that the caller sees. Raises NotFound where that is none of the file."""
        rows = OnboardedAgent.objects.filter(batch=self.kwargs["key"]).select_related(
            "seen", "agent", "sponsor", "batch"
        )
        seen = queries.visible(rows, self.caller.human, everything=self.caller.sees_everything)
        if not self.caller.sees_everything and not seen.exists():
            raise NotFound
        return seen

    def get(self, request: Request, **_key: Any) -> Response:  # noqa: ANN401, ARG002 - as above
        """Answer one page."""
        page = with_plans(self.paginate_queryset(self.filter_queryset(self.rows())) or [])
        return self.get_paginated_response(OnboardedAgentSerializer(page, many=True).data)


class RequestSponsors(_Batches, ActionEndpoint):
    """Ask sponsors to accept the agents of a file. No agent of it is active before its sponsor has accepted."""

    action = actions.ASK_SPONSORS
    asked = SponsorsInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the sponsors, by login."""
        body = super().read()
        sponsor = known_person(body["sponsor"]) if "sponsor" in body else None
        sponsors = {entry["id"]: known_person(entry["sponsor"]) for entry in body.get("each", [])}
        return {"sponsor": sponsor, "sponsors": sponsors, "reason": body["reason"]}


class AnswerOnboarding(_Batches, ActionEndpoint):
    """Accept or decline the sponsorship of agents in a file."""

    action = actions.ANSWER
    asked = Answer

    def read(self) -> dict[str, Any]:
        """Read the answer for all of them, or for some."""
        body = super().read()
        return {"accept": body["accept"], "only": body.get("agents"), "reason": body.get("reason", "")}


class ConfirmOnboarding(_Batches, ActionEndpoint):
    """Confirm what sponsors accepted. The listed lines become grants."""

    action = actions.CONFIRM
    shows_result = True
    shown = OutcomeSerializer


class _Agents(ActionEndpoint):
    matrix: ClassVar[Matrix] = MATRIX
    shown = AgentSerializer


class CutOver(_Agents):
    """Record that an agent uses the governed path now. For an agent whose access was onboarded."""

    action = actions.CUT_OVER
    asked = CutOverInputSerializer

    def read(self) -> dict[str, Any]:
        """Read at which system, or at all."""
        body = super().read()
        system = self.find(System.objects.all(), slug=body["system"]) if "system" in body else None
        return {"system": system, "reason": body["reason"]}


class RollBack(_Agents):
    """Undo the onboarding of an agent.

    Its onboarded grants end and its paths are ungoverned again. An agent that the onboarding made is suspended.
    """

    action = actions.UNDO


class _Seen(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = UnmanagedAgentSerializer

    subject = actions.SEEN


class UnmanagedAgents(_Seen, Listing):
    """List unmanaged agents, the last seen first."""

    filterset_class = SeenFilter
    ordering = ("-last_seen_at", "-id")


class SeenMatch(_Seen, ActionEndpoint):
    """Match an unmanaged agent with a registered agent."""

    action = actions.MATCH
    asked = MatchInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the agent, by name."""
        body = super().read()
        return {**body, "agent": self.find(visibility.agents(self.caller), slug=body["agent"])}


class SeenBlock(_Seen, ActionEndpoint):
    """Block an unmanaged agent. It stays listed, and no client can register under its name."""

    action = actions.BLOCK


class SeenUnblock(_Seen, ActionEndpoint):
    """Unblock an unmanaged agent. The person who blocked it cannot unblock it."""

    action = actions.UNBLOCK
