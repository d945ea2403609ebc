"""Spot checks over REST: switched on and counted, answered by the checkers, followed up by the owner of the review."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Listing
from governance.reviews.campaigns.api.bodies import ReviewLineSerializer, SuggestionShown
from governance.reviews.campaigns.api.campaigns import CampaignAction, ReviewResource
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules
from governance.reviews.items.models import ReviewLine
from governance.reviews.spot_checks import actions, spot_checks
from governance.reviews.spot_checks import plan as plan_actions
from governance.reviews.spot_checks.models import SpotCheck

_REASONS = sorted({*review_rules.KEEP, *review_rules.DROP, *review_rules.ABSTAIN})


class SpotCheckPlanInputSerializer(InputSerializer):
    """The percentage of answers that are checked, and the days to answer."""

    share = serializers.IntegerField(min_value=1, max_value=100, required=False, default=plan_actions.SHARE)
    days = serializers.IntegerField(min_value=1, max_value=plan_actions.LONGEST, required=False, default=7)
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class AgreementSerializer(OutputSerializer):
    """Of `n` checks that judge, how many agree with the reviewer; abstentions do not count."""

    n = serializers.IntegerField()
    agree = serializers.IntegerField()
    percent = serializers.IntegerField(allow_null=True)


class FinishedSpotCheckSerializer(OutputSerializer):
    """A spot check beside the reviewer's answer, for readers of the evidence."""

    id = serializers.UUIDField()
    number = serializers.IntegerField(source="item.number")
    item = serializers.UUIDField(source="item_id")
    answer = serializers.CharField(source="item.current_decision.verb")
    checker = serializers.CharField(source="checker.login", default=None, allow_null=True)
    verb = serializers.CharField()
    reason_code = serializers.CharField()
    comment = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)
    followed = serializers.CharField()
    followed_because = serializers.CharField()


class SpotCheckPlanSerializer(OutputSerializer):
    """The spot checks of a review: the digest of the seed at once, the seed after the draw, and the results.

    `sampled` is the sum of `answered`, `open`, `unanswered` and `nobody` (no checker is independent enough).
    """

    share = serializers.IntegerField()
    days = serializers.IntegerField()
    seed_sha256 = serializers.CharField()
    seed = serializers.CharField()
    drawn_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)
    frame = serializers.IntegerField(allow_null=True)
    sampled = serializers.IntegerField()
    answered = serializers.IntegerField()
    open = serializers.IntegerField()
    unanswered = serializers.IntegerField()
    nobody = serializers.IntegerField()
    could_not_judge = serializers.IntegerField()
    agreement = AgreementSerializer()
    checks = FinishedSpotCheckSerializer(many=True)


class CheckedItemSerializer(OutputSerializer):
    """The item to check, as it was when the review began, without the reviewer and their answer."""

    name = serializers.CharField()
    kind = serializers.CharField(source="subject_kind")
    agent = serializers.CharField(source="agent_slug")
    system = serializers.CharField(source="system_slug")
    subjects = serializers.ListField(child=serializers.CharField())
    risk = serializers.CharField()
    lines = serializers.SerializerMethodField()
    suggestion = serializers.SerializerMethodField()

    def get_lines(self, item: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a review item
        """List all tools by name, whatever the reviewer answered."""
        lines: list[ReviewLine] = sorted(item.lines.all(), key=lambda line: line.tool.name)
        return [ReviewLineSerializer(line).data for line in lines]

    def get_suggestion(self, item: Any) -> dict[str, Any] | None:  # noqa: ANN401 - as above
        """Return the suggestion from when the review began."""
        suggestion = getattr(item, "suggestion", None)
        return SuggestionShown(suggestion).data if suggestion else None


class SpotCheckSerializer(OutputSerializer):
    """One spot check of the caller's, with their own answer and no other."""

    id = serializers.UUIDField()
    review = serializers.CharField(source="plan.campaign.name")
    asked_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(source="plan.due_at")
    item = CheckedItemSerializer()
    verb = serializers.CharField()
    reason_code = serializers.CharField()
    comment = serializers.CharField()
    answered_at = serializers.DateTimeField(allow_null=True)


class SpotCheckAnswerInputSerializer(InputSerializer):
    """The checker's answer; every answer but `certify` needs a reason."""

    verb = serializers.ChoiceField(choices=[*review_rules.Verb])
    reason_code = serializers.ChoiceField(choices=_REASONS, allow_blank=True, required=False, default="")
    comment = Text(max_length=2000, allow_blank=True, required=False, default="")


class FollowUpInputSerializer(InputSerializer):
    """Whether an event-triggered review asks again, or the decision stays as it is, and the reason."""

    how = serializers.ChoiceField(choices=SpotCheck.Followed.choices)
    reason = Text(max_length=500)


class CampaignSpotChecks(CampaignAction):
    """Show and switch on spot checks.

    get: Show the spot checks of a campaign.
    post: Switch on spot checks of a campaign. Another person checks some decisions once it ends; until then only the
        digest of the seed is shown.
    """

    action = actions.SWITCH_ON
    is_versioned = False
    asked = SpotCheckPlanInputSerializer
    shown = SpotCheckPlanSerializer
    answers = HTTPStatus.CREATED

    def answer(self, performed: Performed) -> Response:
        """Answer with the plan; this cannot be undone."""
        return Response(_plan_as_json(performed.row), status=HTTPStatus.CREATED)

    @extend_schema(responses=SpotCheckPlanSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Return the plan and the results of a review's spot checks; 404 where it has none."""
        campaign = self.evidence_of(key, "spot checks")
        self.find(Campaign.objects.exclude(spot_plan=None), pk=campaign.pk)
        return Response(_plan_as_json(campaign))


def _plan_as_json(campaign: Campaign) -> dict[str, Any]:
    result = spot_checks.result(campaign)
    if result is None:
        return {}
    plan = result.plan
    fields = {name: getattr(plan, name) for name in ("share", "days", "seed_sha256", "drawn_at", "due_at", "frame")}
    checks = plan.checks.select_related("item__current_decision", "checker").order_by("item__number")
    seed = plan.seed if plan.drawn_at else ""
    data: dict[str, Any] = SpotCheckPlanSerializer(
        {**fields, "seed": seed, **result.as_json(), "checks": list(checks)}
    ).data
    return data


class SpotCheckFilter(filters.FilterSet):
    """Filters for the caller's spot checks."""

    answered = filters.BooleanFilter(field_name="answered_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = SpotCheck
        fields: ClassVar[list[str]] = []


class SpotCheckResource(ReviewResource):
    """The base of the addresses of the caller's spot checks."""

    def checks(self) -> QuerySet[SpotCheck]:
        """Return the caller's spot checks, open and answered."""
        return actions.CHECK.rows(self.caller).select_related("item__suggestion").prefetch_related("item__lines__tool")


class SpotChecks(SpotCheckResource, Listing):
    """List your spot checks, the oldest first. Without the reviewers' decisions."""

    serializer_class = SpotCheckSerializer
    filterset_class = SpotCheckFilter
    ordering = ("asked_at", "id")

    def rows(self) -> QuerySet[SpotCheck]:
        """Return the caller's spot checks."""
        return self.checks()

    @extend_schema(responses=SpotCheckSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - as above
        """List the caller's spot checks, the oldest first, without the reviewers' answers."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(SpotCheckSerializer(page, many=True).data)


class SpotCheckDetail(SpotCheckResource):
    """Show one of your spot checks."""

    @extend_schema(responses=SpotCheckSerializer)
    def get(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Show one of the caller's spot checks."""
        return Response(SpotCheckSerializer(self.find(self.checks(), pk=key)).data)


class AnswerSpotCheck(SpotCheckResource, ActionEndpoint):
    """Answer a spot check. Without knowing the reviewer's decision. It changes no access."""

    action = actions.ANSWER
    asked = SpotCheckAnswerInputSerializer
    shown = SpotCheckSerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with the check; it changes no access."""
        return Response(SpotCheckSerializer(self.checks().get(pk=performed.row.pk)).data)


class FollowUpSpotCheck(ReviewResource, ActionEndpoint):
    """Follow up a spot check that disagrees. As the owner of its campaign: `asked_again` or `left`."""

    action = actions.FOLLOW_UP
    asked = FollowUpInputSerializer
    shown = FinishedSpotCheckSerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with the check as it is now."""
        performed.row.refresh_from_db()
        return Response(FinishedSpotCheckSerializer(performed.row).data)
