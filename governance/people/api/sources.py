"""People sources over REST: connect, test, confirm removals, and import people from a file."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import (
    EmptyInputSerializer,
    InputSerializer,
    OutputSerializer,
    Slug,
    Text,
)
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Listing, Resource
from entitlements.people_sources import file_rows, sources
from entitlements.people_sources.models import PeopleSource
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.people import actions


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

    csv = serializers.CharField(max_length=file_rows.LARGEST, trim_whitespace=False)
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
    subject = actions.SOURCE

    def with_token(self, source: PeopleSource, token: str, status: int) -> Response:
        """Answer with a source and the token that was just made."""
        context = {**self.get_serializer_context(), "token": token}
        return Response(PeopleSourceSerializer(source, context=context).data, status=status)


class Sources(_PeopleSourceResource, Listing, CreateEndpoint):
    """List people sources, and add one.

    get: List people sources.
    post: Add a people source. Its SCIM token is shown in this answer alone.
    """

    action = actions.CONNECT
    asked = PeopleSourceInputSerializer
    filterset_class = SourceFilter
    ordering = ("slug",)
    shown_once = frozenset({"token"})

    def read(self) -> dict[str, Any]:
        """Read the source, and the issuer of its subjects by name."""
        values = super().read()
        issuer = self.find(sources.subject_issuers(), issuer=values["subjects_of"]) if values["subjects_of"] else None
        return {**values, "subjects_of": issuer}

    def answer(self, performed: Performed) -> Response:
        """Answer with the source; its token is in this answer alone."""
        source, token = performed.result
        return self.with_token(source, token, HTTPStatus.CREATED)


class PeopleSourceDetail(_PeopleSourceResource, Detail):
    """Show a people source."""


class RotateSource(_PeopleSourceResource, ActionEndpoint):
    """Rotate the token of a people source. The new token is shown in this answer alone."""

    action = actions.ROTATE
    shown_once = frozenset({"token"})

    def answer(self, performed: Performed) -> Response:
        """Answer with the other token, shown here alone; the one before opens nothing from now on."""
        return self.with_token(self.find_row(), performed.result, HTTPStatus.OK)


class TestSource(_PeopleSourceResource, ActionEndpoint):
    """Test a people source."""

    action = actions.TEST
    shown = SourceTestResult

    def read(self) -> dict[str, Any]:
        """Refuse a body: the test takes nothing."""
        return self.body(EmptyInputSerializer)

    def answer(self, performed: Performed) -> Response:
        """Answer whether the source delivers people. Nothing was changed."""
        return Response(SourceTestResult({"ok": not performed.result, "problems": performed.result}).data)


class EndSource(_PeopleSourceResource, ActionEndpoint):
    """Disable a people source. Its token is refused at once; its people stay."""

    action = actions.END


class LetThrough(_PeopleSourceResource, ActionEndpoint):
    """Apply the held removals of a people source.

    A source that would disable many people at once is paused until a platform admin decides.
    """

    action = actions.LET_THROUGH
    durable = True


class Refuse(_PeopleSourceResource, ActionEndpoint):
    """Refuse the held removals of a people source. The people stay active."""

    action = actions.KEEP


class TakeFile(_PeopleSourceResource, ActionEndpoint):
    """Send people as a file.

    A first call shows what the file would change; a second one, with what was shown, applies it.
    """

    action = actions.TAKE_FILE
    asked = FileInputSerializer
    shown = PeopleFilePlanSerializer
    durable = True

    def read(self) -> dict[str, Any]:
        """Read the file, and the digest of what was seen of it."""
        values = super().read()
        text = values.pop("csv")
        return {**values, "text": text}

    def answer(self, performed: Performed) -> Response:
        """Answer with what the file would do, or did; each row is done by itself."""
        plan, applied = performed.result, bool(performed.values["seen"])
        values = {"applied": applied, "digest": plan.digest, "counts": plan.counts, "rows": plan.rows}
        return Response(PeopleFilePlanSerializer(values).data)
