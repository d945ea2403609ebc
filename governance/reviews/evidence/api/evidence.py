"""The evidence of a closed review over REST: seal it, follow the progress, and download the sealed pack."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.errors import NotFound
from governance.reviews.campaigns.api.campaigns import CampaignAction, EvidenceFile, ReviewResource
from governance.reviews.evidence import actions
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidencePack, EvidenceSealing


class SealInputSerializer(InputSerializer):
    """The statement that the caller signs, in their own words: complete, independent reviewers, removals done, kept."""

    statement = Text(max_length=2000)


class FileSerializer(OutputSerializer):
    """One file of a pack."""

    name = serializers.CharField()
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True)


class PackSerializer(OutputSerializer):
    """A sealed pack; the archive itself is at `evidence.zip`."""

    sha256 = serializers.CharField()
    key = serializers.CharField(source="key_id")
    sealed_at = serializers.DateTimeField()
    stamped_at = serializers.DateTimeField(allow_null=True)
    signed_off_by = serializers.CharField(source="signed_off_by.login")
    statement = serializers.CharField()
    tie_out = serializers.DictField(child=serializers.IntegerField())
    files = FileSerializer(many=True)


class SealingSerializer(OutputSerializer):
    """The progress of a sealing; `refused` is why there is no pack, `differences` what does not tie out."""

    step = serializers.ChoiceField(choices=EvidenceSealing.Step.choices)
    percent = serializers.SerializerMethodField()
    rows = serializers.IntegerField()
    asked_by = serializers.CharField(source="asked_by.login")
    asked_at = serializers.DateTimeField()
    statement = serializers.CharField()
    refused = serializers.CharField()
    differences = serializers.DictField()
    pack = serializers.SerializerMethodField()

    def get_percent(self, run: EvidenceSealing) -> int:
        """Return the progress in per cent."""
        return seal.progress(run)

    @extend_schema_field(PackSerializer(allow_null=True))
    def get_pack(self, run: EvidenceSealing) -> dict[str, Any] | None:
        """Return the pack; null before it is stored."""
        kept = EvidencePack.objects.select_related("signed_off_by").defer("content").filter(campaign=run.campaign_id)
        return PackSerializer(pack).data if (pack := kept.first()) else None


class Seal(CampaignAction):
    """Sign off a closed campaign. A worker seals its evidence."""

    action = actions.SEAL
    is_versioned = False
    shows_result = True
    asked = SealInputSerializer
    shown = SealingSerializer
    answers = HTTPStatus.ACCEPTED


class Sealing(ReviewResource):
    """Show the progress of the sealing. And the evidence pack when it is done."""

    @extend_schema(responses=SealingSerializer)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Return the progress of the sealing, and the pack when it is done."""
        runs = EvidenceSealing.objects.select_related("asked_by")
        return Response(SealingSerializer(self.find(runs, campaign=self.evidence_of(key, "sealing"))).data)


class PackFile(EvidenceFile):
    """Download the sealed evidence of a campaign. A ZIP file, byte for byte as it was sealed."""

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, key: str) -> StreamingHttpResponse:  # noqa: ARG002 - as above
        """Return the sealed pack, byte for byte as it was stored."""
        pack = EvidencePack.objects.filter(campaign=self.evidence_of(key, "evidence.zip")).first()
        if pack is None:
            raise NotFound
        answer = StreamingHttpResponse(pack.archive(), content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="evidence-{key}.zip"'
        return answer
