"""The evidence of a closed review over REST: seal it, and fetch the sealed pack."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import Shown, Strict, Text
from entitlements.errors import NotFound
from governance.models import EvidencePack
from governance.reviews.pack.sealing import seal as seal_evidence

from .campaigns import OfReviews


class SealAsked(Strict):
    """What one signs off, in one's own words: complete, independent reviewers, removals done or excepted, kept."""

    statement = Text(max_length=2000)


class FileShown(Shown):
    """One file of a pack."""

    name = serializers.CharField()
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True)


class PackShown(Shown):
    """A sealed pack; the archive itself is at `evidence.zip`."""

    sha256 = serializers.CharField()
    key = serializers.CharField(source="key_id")
    sealed_at = serializers.DateTimeField()
    signed_off_by = serializers.CharField(source="signed_off_by.login")
    statement = serializers.CharField()
    tie_out = serializers.DictField(child=serializers.IntegerField())
    files = FileShown(many=True)


class Seal(OfReviews):
    """POST /campaigns/{slug}/seal."""

    @extend_schema(request=SealAsked, responses={201: PackShown})
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Sign off a closed review and keep its evidence for good."""
        campaign, body = self.campaign(key), self.body(SealAsked)
        kept = seal_evidence(campaign.pk, by=self.reviewer(), statement=body["statement"])
        return Response(PackShown(kept).data, status=HTTPStatus.CREATED)


class PackFile(OfReviews):
    """GET /campaigns/{slug}/evidence.zip."""

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, key: str) -> HttpResponse:  # noqa: ARG002 - as above
        """Answer with the sealed pack, byte for byte as it was kept."""
        pack = EvidencePack.objects.filter(campaign=self.evidence_of(key, "evidence.zip")).first()
        if pack is None:
            raise NotFound
        answer = HttpResponse(bytes(pack.content), content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="evidence-{key}.zip"'
        return answer
