"""Access reviews over REST, after an answer: recall, reopen, restore, except; and bulk decisions."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.bulk import Outcome
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.errors import DomainError
from governance.reviews.campaigns import actions as campaign_actions
from governance.reviews.campaigns.actions import Why
from governance.reviews.campaigns.api.bodies import (
    ItemReassignment,
    RemediationSerializer,
)
from governance.reviews.campaigns.api.campaigns import CampaignAction, ItemAction, ReviewResource, person_named
from governance.reviews.decisions import actions, bulk
from governance.reviews.items import answer as answer_actions
from governance.reviews.items import review_rules
from governance.reviews.remediation.models import Remediation

_REASONS = sorted({*review_rules.KEEP, *review_rules.DROP})


class RemediationExceptionInputSerializer(Why):
    """Until when a failed remediation is excepted, why, and the mitigating control until then."""

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
    """The token of the preview; to reduce or revoke, the number of items as well."""

    token = serializers.CharField(max_length=40000)
    count = serializers.IntegerField(min_value=1, max_value=200, required=False, allow_null=True, default=None)


class DraftResultSerializer(Outcome):
    """What became of one item."""

    item = serializers.UUIDField()


class BulkDoneSerializer(OutputSerializer):
    """What became of each item."""

    bulk_op = serializers.UUIDField()
    results = DraftResultSerializer(many=True)


class Claim(ItemAction):
    """Claim an unassigned review item."""

    action = actions.CLAIM


@extend_schema(responses={204: None})
class HandOn(ItemAction):
    """Hand a review item to another person of its chain, with a reason."""

    action = actions.HAND_ON
    asked = ItemReassignment

    def read(self) -> dict[str, Any]:
        """Read to whom of its chain, by login."""
        body = super().read()
        return {**body, "to": person_named("to", body["to"])}

    def answer(self, performed: Performed) -> Response:  # noqa: ARG002 - the item is another person's now
        """Answer with nothing."""
        return Response(status=HTTPStatus.NO_CONTENT)


class Recall(ItemAction):
    """Recall your decision of a review item. It is a draft again, and what it reduced or revoked works again."""

    action = actions.RECALL


class Reopen(ItemAction):
    """Reopen a decided review item. Its stages are decided again. What was revoked for good stays revoked."""

    action = actions.REOPEN


class Restore(ItemAction):
    """Restore what the deadline suspended of a review item.

    A person who was not its reviewer and has no conflict of interest does. What something else suspended as well
    stays suspended.
    """

    action = actions.RESTORE


class Release(CampaignAction):
    """Release a deadline that is held.

    The next sweep applies it: undecided access is suspended within a quarter of an hour.
    """

    action = campaign_actions.RELEASE


class _Cut(ItemAction):
    shown = RemediationSerializer

    def find_row(self) -> Remediation:
        """Return a cut among the visible items. Raises NotFound."""
        self.about = [f"decision:{self.kwargs['key']}"]
        rows: QuerySet[Remediation] = actions.CUT.rows(self.caller)
        return self.find(rows, pk=self.kwargs["key"])

    def answer(self, performed: Performed) -> Response:
        """Answer with the cut as it is now."""
        performed.row.refresh_from_db()
        return Response(RemediationSerializer(performed.row).data, status=self.answers)


@extend_schema(request=None)
class Retry(_Cut):
    """Verify a remediation again."""

    action = actions.RETRY


class Except(_Cut):
    """Make an exception for a failed remediation. Until a day, with the mitigating control until then."""

    action = actions.EXCEPT
    asked = RemediationExceptionInputSerializer
    answers = HTTPStatus.CREATED


class BulkPreview(ReviewResource):
    """Preview a bulk decision. Which of the items one decision fits, and why the others need one of their own."""

    @extend_schema(request=BulkInputSerializer, responses=BulkSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Return which of the items one answer fits, and why the others need one of their own."""
        campaign, body = self.campaign(key), self.body(BulkInputSerializer)
        answer = answer_actions.Answer(body["verb"], body["reason_code"], body["comment"])
        preview = bulk.preview(campaign, body["items"], answer, by=self.reviewer())
        barred = [{"item": str(item), "why": bar.value} for item, bar in preview.barred.items()]
        eligible = list(map(str, preview.eligible))
        return Response({"verb": preview.verb, "eligible": eligible, "barred": barred, "token": preview.token})


class Bulk(CampaignAction):
    """Save the drafts of a bulk decision.

    As they were previewed. Each item is saved on its own. To reduce or revoke, repeat the number of items (`count`).
    """

    action = actions.DRAFT_MANY
    is_versioned = False
    asked = BulkConfirmationInputSerializer
    shown = BulkDoneSerializer
    answers = HTTPStatus.MULTI_STATUS
    durable = True

    def answer(self, performed: Performed) -> Response:
        """Answer with what became of each item; nothing counts before it is submitted."""
        done = performed.result
        results = [{"item": str(pk), "status": HTTPStatus.OK, "state": "drafted"} for pk in done.drafted]
        results += [_refused(str(pk), refusal) for pk, refusal in done.refused.items()]
        return Response({"bulk_op": str(done.bulk_op), "results": results}, status=HTTPStatus.MULTI_STATUS)


def _refused(item: str, refusal: DomainError) -> dict[str, object]:
    return {"item": item, "status": refusal.status, "code": str(refusal.code), "detail": str(refusal.message)}
