"""Access reviews over REST, after an answer: recall, reopen, restore, except; and bulk decisions."""

from __future__ import annotations

from http import HTTPStatus

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.bulk import Outcome
from entitlements.api.fields import EmptyInputSerializer, InputSerializer, OutputSerializer, Text
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.requests.api.requests import UnknownName
from governance.reviews.campaigns.api.bodies import (
    CampaignSerializer,
    ItemReassignment,
    ItemSerializer,
    RemediationSerializer,
)
from governance.reviews.campaigns.api.campaigns import ReviewResource
from governance.reviews.deadlines import deadlines, restore
from governance.reviews.decisions import bulk, recall
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import review_rules
from governance.reviews.remediation import exceptions, remediation
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers import assignment, claim

_REASONS = sorted({*review_rules.KEEP, *review_rules.DROP})


class Why(InputSerializer):
    """Why."""

    reason = Text(max_length=500)


class MaybeWhy(InputSerializer):
    """Why, if there is something to say."""

    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class RemediationExceptionInputSerializer(Why):
    """Until when a cut that failed stands open, why, and what keeps the risk down meanwhile."""

    control = Text(max_length=500)
    expires_at = serializers.DateTimeField()


class BulkInputSerializer(InputSerializer):
    """One answer for many items; to keep some takes for each item what is suggested for it."""

    items = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=200)
    verb = serializers.ChoiceField(choices=[*bulk.MOST])
    reason_code = serializers.ChoiceField(choices=_REASONS)
    comment = Text(max_length=2000, allow_blank=True, required=False, default="")


class ConflictSerializer(OutputSerializer):
    """An item that is answered by itself, and why."""

    item = serializers.UUIDField()
    why = serializers.ChoiceField(choices=[*bulk.Bar])


class BulkSerializer(OutputSerializer):
    """Which items the answer fits, and the token that drafts it; it lasts ten minutes."""

    verb = serializers.CharField()
    eligible = serializers.ListField(child=serializers.UUIDField())
    barred = ConflictSerializer(many=True)
    token = serializers.CharField()


class BulkConfirmationInputSerializer(InputSerializer):
    """The token of what was looked at; a cut says again how many items it is."""

    token = serializers.CharField(max_length=40000)
    count = serializers.IntegerField(min_value=1, max_value=200, required=False, allow_null=True, default=None)


class DraftResultSerializer(Outcome):
    """What became of one item."""

    item = serializers.UUIDField()


class BulkDoneSerializer(OutputSerializer):
    """What became of each item."""

    bulk_op = serializers.UUIDField()
    results = DraftResultSerializer(many=True)


class Claim(ReviewResource):
    """POST /review-items/{id}/claim."""

    @extend_schema(request=MaybeWhy, responses=ItemSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Claim an item that has no reviewer; of two who try, the second is refused (`item_taken`)."""
        item, body = self.item(key), self.body(MaybeWhy)
        claim.claim(item.pk, by=self.reviewer(), reason=body["reason"])
        return self.item_response(self.item(key))


class HandOn(ReviewResource):
    """POST /review-items/{id}/hand-on."""

    @extend_schema(request=ItemReassignment, responses={204: None})
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Give an item to another person of its chain, who sees and answers it from then on."""
        item, body = self.item(key), self.body(ItemReassignment)
        to = Person.objects.filter(login=body["to"]).first()
        if to is None:
            raise UnknownName(field="to", name=body["to"])
        assignment.hand_on(item.pk, to, by=self.reviewer(), reason=body["reason"])
        return Response(status=HTTPStatus.NO_CONTENT)


class Recall(ReviewResource):
    """POST /review-items/{id}/recall."""

    @extend_schema(request=MaybeWhy, responses=ItemSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - the framework's signature
        """Take your own answer back within fifteen minutes; what it cut works again."""
        item, body = self.item(key), self.body(MaybeWhy)
        recall.recall(item.pk, by=self.reviewer(), reason=body["reason"])
        return self.item_response(self.item(key))


class Reopen(ReviewResource):
    """POST /review-items/{id}/reopen."""

    @extend_schema(request=Why, responses=ItemSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Open a decided item again, as the owner of its campaign."""
        item, body = self.item(key), self.body(Why)
        recall.reopen(item.pk, by=self.reviewer(), reason=body["reason"])
        return self.item_response(self.item(key))


class Restore(ReviewResource):
    """POST /review-items/{id}/restore."""

    @extend_schema(request=Why, responses=ItemSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Restore what the deadline stopped without an answer, as a second person."""
        item, body = self.item(key), self.body(Why)
        restore.restore(item.pk, by=self.reviewer(), reason=body["reason"])
        return self.item_response(self.item(key))


class Release(ReviewResource):
    """POST /campaigns/{slug}/release."""

    @extend_schema(request=Why, responses=CampaignSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Release a deadline that was held, as the owner of the campaign."""
        campaign, body = self.campaign(key), self.body(Why)
        deadlines.release(campaign.pk, by=self.reviewer(), reason=body["reason"])
        return self.campaign_response(campaign)


class RemediationResource(ReviewResource):
    """What acts on one cut."""

    def cut(self, key: object) -> Remediation:
        """Find a cut among the visible items, and remember what a refusal is about. Raises NotFound."""
        self.about = [f"decision:{key}"]
        rows: QuerySet[Remediation] = Remediation.objects.filter(decision__item__in=self.items())
        return self.find(rows, pk=key)


class Retry(RemediationResource):
    """POST /remediations/{decision}/retry."""

    @extend_schema(request=None, responses=RemediationSerializer)
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Verify a cut once more, now."""
        self.reviewer()
        cut = self.cut(key)
        self.body(EmptyInputSerializer)
        return Response(RemediationSerializer(remediation.verify(cut.pk)).data)


class Except(RemediationResource):
    """POST /remediations/{decision}/except."""

    @extend_schema(request=RemediationExceptionInputSerializer, responses={201: RemediationSerializer})
    def post(self, request: Request, key: object) -> Response:  # noqa: ARG002 - as above
        """Let a cut that failed stand open until a day, as a second person."""
        cut, body = self.cut(key), self.body(RemediationExceptionInputSerializer)
        exceptions.make(cut.pk, by=self.reviewer(), **body)
        cut.refresh_from_db()
        return Response(RemediationSerializer(cut).data, status=HTTPStatus.CREATED)


class BulkPreview(ReviewResource):
    """POST /campaigns/{slug}/bulk-preview."""

    @extend_schema(request=BulkInputSerializer, responses=BulkSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Return which of the items one answer fits, and why the others need one of their own."""
        campaign, body = self.campaign(key), self.body(BulkInputSerializer)
        answer = answer_actions.Answer(body["verb"], body["reason_code"], body["comment"])
        preview = bulk.preview(campaign, body["items"], answer, by=self.reviewer())
        barred = [{"item": str(item), "why": bar.value} for item, bar in preview.barred.items()]
        eligible = list(map(str, preview.eligible))
        return Response({"verb": preview.verb, "eligible": eligible, "barred": barred, "token": preview.token})


class Bulk(ReviewResource):
    """POST /campaigns/{slug}/bulk."""

    durable = True

    @extend_schema(request=BulkConfirmationInputSerializer, responses={207: BulkDoneSerializer})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Draft one answer for what was previewed; each item by itself, and nothing counts before it is submitted."""
        campaign, body = self.campaign(key), self.body(BulkConfirmationInputSerializer)
        done = bulk.commit(campaign, body["token"], by=self.reviewer(), count=body["count"])
        results = [{"item": str(pk), "status": HTTPStatus.OK, "state": "drafted"} for pk in done.drafted]
        results += [_refused(str(pk), refusal) for pk, refusal in done.refused.items()]
        return Response({"bulk_op": str(done.bulk_op), "results": results}, status=HTTPStatus.MULTI_STATUS)


def _refused(item: str, refusal: DomainError) -> dict[str, object]:
    return {"item": item, "status": refusal.status, "code": str(refusal.code), "detail": str(refusal.message)}
