"""An auditor's work over REST: shares, samples with their marks and workpaper, questions and answers."""

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

from entitlements.api.endpoints import Listing
from entitlements.api.fields import Reason, Shown, Strict, Text
from entitlements.errors import Malformed
from entitlements.people.api import known_person
from governance.reviews.campaigns.api.campaigns import OfReviews
from governance.reviews.campaigns.models import Campaign
from governance.reviews.evidence import audit, workpapers
from governance.reviews.evidence.models import AuditMark, AuditQuestion, AuditSample, EvidenceShare, SampledItem


class ShareShown(Shown):
    """With whom the evidence of a review is shared, until when."""

    id = serializers.UUIDField()
    auditor = serializers.CharField(source="auditor.login")
    by = serializers.CharField(source="by.login")
    reason = serializers.CharField()
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ShareAsked(Strict):
    """Whom to share the evidence with, until when (90 days at most), and why."""

    auditor = Text(max_length=150)
    expires_at = serializers.DateTimeField()
    reason = Text(max_length=500)


class SampleShown(Shown):
    """How a sample was drawn: the same seed from the same items draws the same."""

    id = serializers.UUIDField()
    seed = serializers.CharField()
    wanted = serializers.IntegerField()
    strata = serializers.ChoiceField(choices=AuditSample.Strata.choices)
    frame = serializers.IntegerField()
    frame_sha256 = serializers.CharField()
    drawn_by = serializers.CharField(source="drawn_by.login")
    drawn_at = serializers.DateTimeField()


class SampleAsked(Strict):
    """How many items, from which strata, by which seed; without one a new seed is made."""

    wanted = serializers.IntegerField(min_value=1, max_value=audit.MOST_SAMPLED)
    strata = serializers.ChoiceField(choices=AuditSample.Strata.choices, default="none")
    seed = Text(max_length=64, required=False, allow_blank=True, default="")


class MarkShown(Shown):
    """What was found about one item."""

    item = serializers.IntegerField(source="sampled.item.number")
    finding = serializers.ChoiceField(choices=AuditMark.Finding.choices)
    note = serializers.CharField()
    by = serializers.CharField(source="by.login")
    at = serializers.DateTimeField()


class MarkAsked(Strict):
    """What was found about an item, by its number; what does not pass says why."""

    item = serializers.IntegerField(min_value=1)
    finding = serializers.ChoiceField(choices=AuditMark.Finding.choices)
    note = Text(max_length=2000, required=False, allow_blank=True, default="")


class QuestionShown(Shown):
    """A question of an auditor, due in one working day, and its answer."""

    id = serializers.UUIDField()
    item = serializers.IntegerField(source="item.number", allow_null=True, default=None)
    text = serializers.CharField()
    asked_by = serializers.CharField(source="asked_by.login")
    asked_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    answer = serializers.CharField()
    answered_by = serializers.CharField(source="answered_by.login", allow_null=True, default=None)
    answered_at = serializers.DateTimeField(allow_null=True)


class QuestionAsked(Strict):
    """A question about the review, or about one of its items."""

    text = Text(max_length=2000)
    item = serializers.UUIDField(required=False, allow_null=True, default=None)


class AnswerAsked(Strict):
    """The answer to a question."""

    text = Text(max_length=2000)


def _filter(rows: type[Any]) -> type[filters.FilterSet]:
    meta = type("Meta", (), {"model": rows, "fields": []})
    return type(f"{rows.__name__}Filter", (filters.FilterSet,), {"Meta": meta})


class _OfOneCampaign(OfReviews, Listing):
    """A list of one campaign's."""

    model_of: ClassVar[type[Any]]
    kept: ClassVar[type[Shown]]

    def rows(self) -> QuerySet[Any]:
        """Return what belongs to the campaign of the address."""
        campaign: Campaign = self.evidence_of(self.kwargs["key"], self.model_of._meta.verbose_name_plural)
        return self.model_of.objects.filter(campaign=campaign)  # type: ignore[no-any-return]

    def listed(self) -> Response:
        """Answer one page."""
        page = self.paginate_queryset(self.filter_queryset(self.rows()))
        return self.get_paginated_response(self.kept(page, many=True).data)


class Shares(_OfOneCampaign):
    """GET and POST /campaigns/{slug}/shares."""

    model_of, kept = EvidenceShare, ShareShown
    filterset_class = _filter(EvidenceShare)
    ordering = ("-made_at", "-id")

    @extend_schema(responses=ShareShown(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - the framework's signature
        """List with whom the evidence is and was shared."""
        return self.listed()

    @extend_schema(request=ShareAsked, responses={201: ShareShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Let somebody read and test the evidence of a closed review until a day."""
        campaign, body = self.campaign(key), self.body(ShareAsked)
        body["auditor"] = known_person(body["auditor"])
        made = audit.share(campaign.pk, by=self.reviewer(), **body)
        return Response(ShareShown(made).data, status=HTTPStatus.CREATED)


class EndShare(OfReviews):
    """POST /evidence-shares/{id}/end."""

    @extend_schema(request=Reason, responses=ShareShown)
    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """End a share before its time."""
        found = self.find(EvidenceShare.objects.select_related("campaign"), pk=key)
        self.campaign(found.campaign.slug)
        made = audit.end_share(found.pk, by=self.reviewer(), reason=self.body(Reason)["reason"])
        return Response(ShareShown(made).data)


class Samples(_OfOneCampaign):
    """GET and POST /campaigns/{slug}/samples."""

    model_of, kept = AuditSample, SampleShown
    filterset_class = _filter(AuditSample)
    ordering = ("-drawn_at", "-id")

    @extend_schema(responses=SampleShown(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - as above
        """List the samples that were drawn of a review."""
        return self.listed()

    @extend_schema(request=SampleAsked, responses={201: SampleShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Draw a random sample, as an auditor."""
        campaign = self.campaign(key)
        made = audit.draw(campaign.pk, by=self.reviewer(), **self.body(SampleAsked))
        return Response(SampleShown(made).data, status=HTTPStatus.CREATED)


class _OfSamples(OfReviews):
    def look_first(self) -> None:
        """Refuse whoever may not read it before a proof is asked."""
        self.readable(self._sample(self.kwargs["key"]).campaign.slug)

    def sample(self, key: UUID, what: str) -> AuditSample:
        """Find a sample of a campaign whose evidence the caller may read."""
        found = self._sample(key)
        self.evidence_of(found.campaign.slug, what)
        return found

    def _sample(self, key: UUID) -> AuditSample:
        return self.find(AuditSample.objects.select_related("campaign", "drawn_by"), pk=key)


class OneSample(_OfSamples):
    """GET /audit-samples/{id}."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Answer with the workpaper: how it was drawn, each item with its marks, the questions."""
        return Response(workpapers.as_json(self.sample(key, "workpaper")))


class SampleTable(_OfSamples):
    """GET /audit-samples/{id}.csv."""

    @extend_schema(operation_id="audit_samples_one_table_get", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, key: UUID) -> HttpResponse:  # noqa: ARG002 - as above
        """Answer with the items as a table in which no cell is a formula."""
        sample = self.sample(key, "workpaper.csv")
        answer = HttpResponse(workpapers.as_csv(sample), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="workpaper-{sample.pk}.csv"'
        return answer


class Marks(_OfSamples):
    """POST /audit-samples/{id}/marks."""

    @extend_schema(request=MarkAsked, responses={201: MarkShown})
    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Say what was found about an item; said again, the later counts and both stay."""
        sample, body = self.sample(key, "sample"), self.body(MarkAsked)
        sampled = SampledItem.objects.filter(sample=sample, item__number=body.pop("item")).first()
        if sampled is None:
            raise Malformed("The sample does not have this item.")
        made = audit.mark(sampled.pk, by=self.reviewer(), **body)
        return Response(MarkShown(made).data, status=HTTPStatus.CREATED)


class Questions(_OfOneCampaign):
    """GET and POST /campaigns/{slug}/questions."""

    model_of, kept = AuditQuestion, QuestionShown
    filterset_class = _filter(AuditQuestion)
    ordering = ("-asked_at", "-id")

    @extend_schema(responses=QuestionShown(many=True))
    def get(self, request: Request, key: str = "") -> Response:  # noqa: ARG002 - as above
        """List what auditors asked about a review."""
        return self.listed()

    @extend_schema(request=QuestionAsked, responses={201: QuestionShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Ask the owner of the review, as an auditor."""
        campaign, body = self.campaign(key), self.body(QuestionAsked)
        made = audit.ask(campaign.pk, by=self.reviewer(), text=body["text"], item_id=body["item"])
        return Response(QuestionShown(made).data, status=HTTPStatus.CREATED)


class Answer(OfReviews):
    """POST /audit-questions/{id}/answer."""

    @extend_schema(request=AnswerAsked, responses=QuestionShown)
    def post(self, request: Request, key: UUID) -> Response:  # noqa: ARG002 - as above
        """Answer a question about one's review, once."""
        found = self.find(AuditQuestion.objects.select_related("campaign"), pk=key)
        self.campaign(found.campaign.slug)
        made = audit.answer(found.pk, by=self.reviewer(), text=self.body(AnswerAsked)["text"])
        return Response(QuestionShown(made).data)
