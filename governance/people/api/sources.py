"""People sources over REST: connect, test, confirm removals, and import people from a file."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api.fields import (
    EmptyInputSerializer,
    InputSerializer,
    OutputSerializer,
    ReasonInputSerializer,
    Slug,
    Text,
)
from entitlements.api.matrix import Matrix
from entitlements.api.resources import Act, Detail, Listing, Resource
from entitlements.people import people_files, sources
from entitlements.people.models import PeopleSource
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.api.matrix import MATRIX


class PeopleSourceInputSerializer(InputSerializer):
    """A new source; with `subjects_of` its external ids are subjects at that issuer."""

    slug = Slug()
    name = Text(max_length=200)
    subjects_of = Text(max_length=300, allow_null=True, default=None)


class PeopleSourceSerializer(OutputSerializer):
    """One source; `token` is filled in when it was made just now."""

    slug = serializers.CharField()
    name = serializers.CharField()
    subjects_of = serializers.CharField(source="subjects_of.issuer", default=None, allow_null=True)
    enabled = serializers.BooleanField()
    seen_at = serializers.DateTimeField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    token = serializers.SerializerMethodField(allow_null=True)

    def get_token(self, _found: PeopleSource) -> str | None:
        """Return the token that was made in this request."""
        token: str | None = self.context.get("token")
        return token


class SourceTestResult(OutputSerializer):
    """Whether a source delivers people; `problems` are codes of what prevents it."""

    ok = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.CharField())


class FileInputSerializer(InputSerializer):
    """A file of people. Without `seen` it is only looked at; with the `digest` of that look it is taken in."""

    csv = serializers.CharField(max_length=people_files.LARGEST, trim_whitespace=False)
    complete = serializers.BooleanField(default=False)
    seen = Text(max_length=64, default="", allow_blank=True)
    reason = Text(max_length=500, default="", allow_blank=True)


class FileRowSerializer(OutputSerializer):
    """One row of a file: what it does, and the code of why it is refused. Row 0 is a person who is left out."""

    row = serializers.IntegerField(source="number")
    login = serializers.CharField(source="person.user_name")
    name = serializers.CharField(source="person.name")
    does = serializers.ChoiceField(choices=["add", "change", "same", "remove", "held", "refused"])
    code = serializers.CharField()


class PeopleFilePlanSerializer(OutputSerializer):
    """What a file would do, or did."""

    applied = serializers.BooleanField()
    digest = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    rows = FileRowSerializer(many=True)


class SourceFilter(filters.FilterSet):
    """Filters by whether a source is let in."""

    enabled = filters.BooleanFilter()

    class Meta:
        model = PeopleSource
        fields: ClassVar[list[str]] = []


class _PeopleSourceResource(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[OutputSerializer]] = PeopleSourceSerializer
    lookup = "slug"

    def rows(self) -> QuerySet[PeopleSource]:
        return PeopleSource.objects.select_related("subjects_of")

    def links(self, source: PeopleSource) -> list[str]:
        return [str(source.principal)]

    def with_token(self, source: PeopleSource, token: str, status: int) -> Response:
        """Answer with a source and the token that was just made."""
        context = {**self.get_serializer_context(), "token": token}
        return Response(PeopleSourceSerializer(source, context=context).data, status=status)


class Sources(_PeopleSourceResource, Listing):
    """GET and POST /people-sources."""

    filterset_class = SourceFilter
    ordering = ("slug",)
    asked = PeopleSourceInputSerializer
    answers = HTTPStatus.CREATED
    shown_once = frozenset({"token"})

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Connect a source; its token is in this answer alone."""
        body = self.body(PeopleSourceInputSerializer)
        identity = TrustedIssuer.objects.filter(purpose=TrustedIssuer.Purpose.IDENTITY, enabled=True)
        issuer = self.find(identity, issuer=body["subjects_of"]) if body["subjects_of"] else None
        source, token = sources.make(body["slug"], name=body["name"], subjects_of=issuer, by=self.principal)
        return self.with_token(source, token, HTTPStatus.CREATED)


class PeopleSourceDetail(_PeopleSourceResource, Detail):
    """GET /people-sources/{slug}."""


class RotateSource(_PeopleSourceResource):
    """POST /people-sources/{slug}/rotate."""

    asked = ReasonInputSerializer
    shown_once = frozenset({"token"})

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Give it another token, shown in this answer alone; the one before opens nothing from now on."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        self.body(ReasonInputSerializer)
        token = sources.rotate(row, by=self.principal)
        return self.with_token(self.find_row(), token, HTTPStatus.OK)


class TestSource(_PeopleSourceResource):
    """POST /people-sources/{slug}/test."""

    @extend_schema(request=None, responses=SourceTestResult)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Test whether the source delivers people. Changes nothing."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        self.body(EmptyInputSerializer)
        problems = sources.check(row)
        return Response(SourceTestResult({"ok": not problems, "problems": problems}).data)


class EndSource(_PeopleSourceResource, Act):
    """POST /people-sources/{slug}/disable."""

    verb = staticmethod(sources.disable)


class LetThrough(_PeopleSourceResource, Act):
    """POST /people-sources/{slug}/let-through."""

    durable = True
    verb: ClassVar[Callable[..., Any]] = staticmethod(sources.allow_removals)


class Refuse(_PeopleSourceResource, Act):
    """POST /people-sources/{slug}/keep."""

    verb: ClassVar[Callable[..., Any]] = staticmethod(sources.refuse_removals)


class TakeFile(_PeopleSourceResource):
    """POST /people-sources/{slug}/file."""

    asked = FileInputSerializer
    durable = True

    @extend_schema(request=FileInputSerializer, responses=PeopleFilePlanSerializer)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - as above
        """Look at a file of people, or take in what was seen; each row is done by itself."""
        row = self.find_row()
        self.permit(row, *self.links(row))
        body = self.body(FileInputSerializer)
        if body["seen"]:
            by = {"by": self.principal, "reason": body["reason"]}
            plan = people_files.apply(row, body["csv"], complete=body["complete"], seen=body["seen"], **by)
        else:
            plan = people_files.plan(row, body["csv"], complete=body["complete"], by=self.principal)
        values = {"applied": bool(body["seen"]), "digest": plan.digest, "counts": plan.counts, "rows": plan.rows}
        return Response(PeopleFilePlanSerializer(values).data)
