"""Event-triggered reviews over REST: what happened, one answer for the caller's items, and postponing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Listing
from governance.reviews.campaigns.api.bodies import ItemSerializer, RemediationSerializer
from governance.reviews.campaigns.api.campaigns import ReviewResource
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.event_triggered import actions, answer
from governance.reviews.event_triggered import words as event_triggered_words
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import review_rules
from governance.reviews.remediation import remediation


class ReviewEventSerializer(OutputSerializer):
    """One event that the review is about, in words. `notes` are texts that a person or a server wrote."""

    said = serializers.CharField(source="sentence")
    at = serializers.DateTimeField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    sides = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class EventTriggeredReviewSerializer(OutputSerializer):
    """An event-triggered review: its campaign by slug, what it is about, and when it is due."""

    slug = serializers.CharField(source="campaign.slug")
    cause = serializers.ChoiceField(choices=ReviewTrigger.Kind.choices, source="kind")
    agent = serializers.CharField(source="agent.slug")
    state = serializers.ChoiceField(choices=Campaign.State.choices, source="campaign.state")
    due_at = serializers.DateTimeField(source="campaign.due_at")
    opened_at = serializers.DateTimeField()
    happened_at = serializers.DateTimeField()
    postponed = serializers.IntegerField()
    happened = serializers.SerializerMethodField()

    @extend_schema_field(ReviewEventSerializer(many=True))
    def get_happened(self, trigger: ReviewTrigger) -> list[dict[str, Any]]:
        """Describe what happened."""
        return list(ReviewEventSerializer(event_triggered_words.happened(trigger), many=True).data)


class EventTriggeredReviewDetailSerializer(EventTriggeredReviewSerializer):
    """An event-triggered review with the items that the caller sees, each with its lines."""

    items = serializers.SerializerMethodField()

    @extend_schema_field(ItemSerializer(many=True))
    def get_items(self, _trigger: ReviewTrigger) -> list[dict[str, Any]]:
        """Show its items."""
        return list(ItemSerializer(self.context["items"], many=True, context=self.context).data)


class EventTriggeredAnswerInputSerializer(InputSerializer):
    """One answer for all `items` that the caller read. To keep some, name the lines that stay in `kept`.

    Items that are not named stay open. `why_keep` is the reason code for items kept as they are, `why_drop` for what is
    taken away, `why_not` for an abstention.
    """

    verb = serializers.ChoiceField(choices=[*review_rules.Verb])
    items = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=1000)
    why_keep = serializers.ChoiceField(choices=[*review_rules.KEEP], required=False, allow_blank=True, default="")
    why_drop = serializers.ChoiceField(choices=[*review_rules.DROP], required=False, allow_blank=True, default="")
    why_not = serializers.ChoiceField(choices=[*review_rules.ABSTAIN], required=False, allow_blank=True, default="")
    comment = Text(max_length=2000, allow_blank=True, required=False, default="")
    kept = serializers.ListField(
        child=serializers.IntegerField(min_value=1), max_length=1000, required=False, default=list
    )


class EventTriggeredAnswerSerializer(OutputSerializer):
    """The decisions, the removals with their verifications, and the items of other reviews that they settle."""

    decided = serializers.ListField(child=serializers.DictField())
    settled = serializers.ListField(child=serializers.UUIDField())
    removals = RemediationSerializer(many=True)


class EventTriggeredFilter(filters.FilterSet):
    """Filters of event-triggered reviews."""

    cause = filters.ChoiceFilter(choices=ReviewTrigger.Kind.choices, field_name="kind")
    agent = filters.CharFilter(field_name="agent__slug")
    state = filters.ChoiceFilter(choices=Campaign.State.choices, field_name="campaign__state")

    class Meta:
        model = ReviewTrigger
        fields: ClassVar[list[str]] = []


class EventTriggeredReviewResource(ReviewResource):
    """What the addresses of event-triggered reviews share."""

    def triggers(self) -> QuerySet[ReviewTrigger]:
        """Return the event-triggered reviews that the caller sees."""
        return actions.REVIEW.rows(self.caller)

    def trigger(self, slug: str) -> ReviewTrigger:
        """Find a review that the caller sees, and note what a refusal is about. Raises NotFound."""
        self.about = [f"campaign:{slug}"]
        return self.find(self.triggers(), campaign__slug=slug)

    def review_response(self, slug: str) -> Response:
        """Respond with an event-triggered review as it is now."""
        trigger = self.trigger(slug)
        items = list(self.items().filter(campaign=trigger.campaign_id).order_by("number"))
        return Response(
            EventTriggeredReviewDetailSerializer(trigger, context={"items": items, "person": self.caller.human}).data
        )


class EventTriggeredReviews(EventTriggeredReviewResource, Listing):
    """List event-triggered reviews, the newest first."""

    serializer_class = EventTriggeredReviewSerializer
    filterset_class = EventTriggeredFilter
    ordering = ("-happened_at", "-id")

    def rows(self) -> QuerySet[ReviewTrigger]:
        """Return the reviews that the caller sees."""
        return self.triggers()

    @extend_schema(responses=EventTriggeredReviewSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """List event-triggered reviews, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(EventTriggeredReviewSerializer(page, many=True).data)


class EventTriggeredReviewDetail(EventTriggeredReviewResource):
    """Show an event-triggered review with its items."""

    @extend_schema(responses=EventTriggeredReviewDetailSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Show an event-triggered review with its items."""
        return self.review_response(key)


class EventTriggeredAnswer(EventTriggeredReviewResource, ActionEndpoint):
    """Decide an event-triggered review."""

    action = actions.ANSWER
    asked = EventTriggeredAnswerInputSerializer
    shown = EventTriggeredAnswerSerializer
    answers = HTTPStatus.CREATED
    durable = True

    def check_preconditions(self, row: ReviewTrigger) -> None:
        """Ask for a proof where an item is of critical risk."""
        self.weighs = answer.has_critical_item(actions.campaign_of(row), self.reviewer())

    def read(self) -> dict[str, Any]:
        """Read the answer for the named items."""
        body = super().read()
        body["abstain"], body["kept"] = body.pop("why_not"), frozenset(body["kept"])
        body["items"] = frozenset(body["items"])
        self.weigh(weighs=self.weighs)
        review_answer = answer.ReviewAnswer(**body)
        return {"review_answer": review_answer, "via": ReviewDecision.Via.API, "proven": self.weighs}

    def answer(self, performed: Performed) -> Response:
        """Verify what was removed, and answer with it: all was decided and removed in one transaction."""
        submission = performed.result
        decided = [
            {"item": str(each.item_id), "decision": str(each.pk), "verb": each.verb} for each in submission.decided
        ]
        removals = [RemediationSerializer(remediation.verify(cut)).data for cut in submission.removals]
        result = {"decided": decided, "settled": [str(each.pk) for each in submission.settled], "removals": removals}
        return Response(result, status=HTTPStatus.CREATED)


class EventTriggeredPostpone(EventTriggeredReviewResource, ActionEndpoint):
    """Postpone an event-triggered review by fourteen days."""

    action = actions.POSTPONE
    shown = EventTriggeredReviewDetailSerializer

    def answer(self, performed: Performed) -> Response:
        """Answer with the review."""
        return self.review_response(performed.row.campaign.slug)
