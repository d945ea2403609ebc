"""An auditor's actions over REST: shares, samples with their marks and workpaper, questions and answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.resources import ActionEndpoint, Listing
from entitlements.errors import Malformed
from entitlements.people.api import known_person
from governance.reviews.campaigns.api.campaigns import CampaignAction, ReviewResource
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import actions, audit, workpapers
from governance.reviews.evidence.models import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem


class ShareSerializer(OutputSerializer):
    """A share of the evidence of a review: the auditor, and the end."""

    id = serializers.UUIDField()
    auditor = serializers.CharField(source="auditor.login")
    by = serializers.CharField(source="by.login")
    reason = serializers.CharField()
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ShareInputSerializer(InputSerializer):
    """The auditor, the end of the share (90 days at most), and the reason."""

    auditor = Text(max_length=150)
    expires_at = serializers.DateTimeField()
    reason = Text(max_length=500)


class SampleSerializer(OutputSerializer):
    """How a sample was drawn: the same seed and the same items give the same sample."""

    id = serializers.UUIDField()
    seed = serializers.CharField()
    wanted = serializers.IntegerField()
    strata = serializers.ChoiceField(choices=AuditSample.Strata.choices)
    frame = serializers.IntegerField()
    frame_sha256 = serializers.CharField()
    drawn_by = serializers.CharField(source="drawn_by.login")
    drawn_at = serializers.DateTimeField()


class SampleInputSerializer(InputSerializer):
    """The number of items, the strata, and the seed; without a seed a new one is made."""

    wanted = serializers.IntegerField(min_value=1, max_value=audit.MOST_SAMPLED)
    strata = serializers.ChoiceField(choices=AuditSample.Strata.choices, default="none")
    seed = Text(max_length=64, required=False, allow_blank=True, default="")


class MarkSerializer(OutputSerializer):
    """The finding about one item."""

    item = serializers.IntegerField(source="sampled.item.number")
    finding = serializers.ChoiceField(choices=AuditMark.Finding.choices)
    note = serializers.CharField()
    by = serializers.CharField(source="by.login")
    at = serializers.DateTimeField()


class MarkInputSerializer(InputSerializer):
    """The finding about an item, by its number; every finding but pass needs a note."""

    item = serializers.IntegerField(min_value=1)
    finding = serializers.ChoiceField(choices=AuditMark.Finding.choices)
    note = Text(max_length=2000, required=False, allow_blank=True, default="")


class QuestionShown(OutputSerializer):
    """An auditor's question, due in one working day, and its answer."""

    id = serializers.UUIDField()
    item = serializers.IntegerField(source="item.number", allow_null=True, default=None)
    text = serializers.CharField()
    asked_by = serializers.CharField(source="asked_by.login")
    asked_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    answer = serializers.CharField()
    answered_by = serializers.CharField(source="answered_by.login", allow_null=True, default=None)
    answered_at = serializers.DateTimeField(allow_null=True)


class QuestionInputSerializer(InputSerializer):
    """A question about the review, or about one of its items."""

    text = Text(max_length=2000)
    item = serializers.UUIDField(required=False, allow_null=True, default=None)


class AnswerInputSerializer(InputSerializer):
    """The answer to a question."""

    text = Text(max_length=2000)


def _filter(rows: type[Any]) -> type[filters.FilterSet]:
    meta = type("Meta", (), {"model": rows, "fields": []})
    return type(f"{rows.__name__}Filter", (filters.FilterSet,), {"Meta": meta})


class _CampaignsResource(ReviewResource, Listing):
    """A list of objects of one campaign."""

    model_of: ClassVar[type[Any]]
    kept: ClassVar[type[OutputSerializer]]

    def rows(self) -> QuerySet[Any]:
        """Return the objects of the campaign in the address."""
        campaign: Campaign = self.evidence_of(self.kwargs["key"], self.model_of._meta.verbose_name_plural)
        return self.model_of.objects.filter(campaign=campaign)  # type: ignore[no-any-return]

    def listed(self) -> Response:
        """Return one page."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(self.kept(page, many=True).data)


class _CampaignsAction(_CampaignsResource, CampaignAction):
    """A list of objects of one campaign, and the action that makes one."""

    answers = HTTPStatus.CREATED
    is_versioned = False
    shows_result = True


class Shares(_CampaignsAction):
    """List shares of evidence, and share it.

    get: List the shares of a campaign's evidence.
    post: Share the evidence of a closed campaign with an auditor. To read and test it until a day.
    """

    action = actions.SHARE
    asked = ShareInputSerializer
    model_of, kept, shown = EvidenceShare, ShareSerializer, ShareSerializer
    filterset_class = _filter(EvidenceShare)
    ordering = ("-made_at", "-id")

    @extend_schema(responses=ShareSerializer(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - the framework's signature
        """List the present and past shares of the evidence."""
        return self.listed()

    def read(self) -> dict[str, Any]:
        """Read with whom the evidence of a closed review is shared until which day."""
        body = super().read()
        return {**body, "auditor": known_person(body["auditor"])}


class EndShare(ReviewResource, ActionEndpoint):
    """End a share of evidence early."""

    action = actions.END_SHARE
    shows_result = True
    shown = ShareSerializer


class Samples(_CampaignsAction):
    """List and draw audit samples.

    get: List the audit samples of a campaign.
    post: Draw a random sample of a closed campaign's items. Without a seed a new one is made and stored.
    """

    action = actions.DRAW
    asked = SampleInputSerializer
    model_of, kept, shown = AuditSample, SampleSerializer, SampleSerializer
    filterset_class = _filter(AuditSample)
    ordering = ("-drawn_at", "-id")

    @extend_schema(responses=SampleSerializer(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - as above
        """List the samples of a review."""
        return self.listed()


class _OfSamples(ReviewResource):
    def look_first(self) -> None:
        """Refuse a caller who may not read it before step-up authentication is asked for."""
        self.readable(self._sample(self.kwargs["key"]).campaign.slug)

    def sample(self, key: UUID, what: str) -> AuditSample:
        """Find a sample of a campaign whose evidence the caller may read."""
        drawn = self._sample(key)
        self.evidence_of(drawn.campaign.slug, what)
        return drawn

    def _sample(self, key: UUID) -> AuditSample:
        return self.find(AuditSample.objects.select_related("campaign", "drawn_by"), pk=key)


class SampleDetail(_OfSamples):
    """Show an audit sample. How it was drawn, each item with its marks, and the questions."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Return the workpaper: how it was drawn, each item with its marks, the questions."""
        return Response(workpapers.as_json(self.sample(key, "workpaper")))


class SampleTable(_OfSamples):
    """Download an audit sample as CSV. No cell is read as a formula."""

    @extend_schema(operation_id="audit_samples_one_table_get", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, key: UUID) -> HttpResponse:  # noqa: ARG002 - as above
        """Return the items as a table in which no cell is a formula."""
        sample = self.sample(key, "workpaper.csv")
        answer = HttpResponse(workpapers.as_csv(sample), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="workpaper-{sample.pk}.csv"'
        return answer


class Marks(_OfSamples, ActionEndpoint):
    """Mark the finding about an item of an audit sample.

    The latest mark counts, and all are kept. A finding other than `pass` needs a note.
    """

    action = actions.MARK
    shows_result = True
    asked = MarkInputSerializer
    shown = MarkSerializer
    answers = HTTPStatus.CREATED

    def find_row(self) -> SampledItem:
        """Return the item of the sample that the body names. Raises Malformed where the sample does not have it."""
        self.reviewer()
        sample = self.sample(self.kwargs["key"], "sample")
        self.marked = self.body(MarkInputSerializer)
        rows = SampledItem.objects.filter(sample=sample).select_related("sample__campaign")
        sampled = rows.filter(item__number=self.marked.pop("item")).first()
        if sampled is None:
            raise Malformed("The sample does not have this item.")
        return sampled

    def read(self) -> dict[str, Any]:
        """Return the finding; the latest counts, and all are kept."""
        return self.marked


class Questions(_CampaignsAction):
    """List and ask auditors' questions.

    get: List the auditors' questions about a campaign.
    post: Ask the owner of a campaign. As an auditor, about the campaign or one of its items. An answer is due in one
        working day.
    """

    action = actions.ASK
    asked = QuestionInputSerializer
    model_of, kept, shown = AuditQuestion, QuestionShown, QuestionShown
    filterset_class = _filter(AuditQuestion)
    ordering = ("-asked_at", "-id")

    @extend_schema(responses=QuestionShown(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - as above
        """List the auditors' questions about a review."""
        return self.listed()

    def read(self) -> dict[str, Any]:
        """Read the question, about the review or one of its items."""
        body = super().read()
        return {"text": body["text"], "item_id": body["item"]}


class Answer(ReviewResource, ActionEndpoint):
    """Answer an auditor's question."""

    action = actions.ANSWER
    shows_result = True
    asked = AnswerInputSerializer
    shown = QuestionShown
