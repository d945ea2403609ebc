"""Imports of catalogues: send a file or its JSON, preview what it would change, confirm it, follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar, Final

from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from entitlements import strict
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.parsers import NotAnObject
from entitlements.api.resources import ActionEndpoint, CreateEndpoint, Detail, Resource
from entitlements.catalog_files import actions, offers
from entitlements.catalog_files.models import CatalogImport
from entitlements.errors import Malformed
from entitlements.people.api import known_person

_DEEPEST: Final = 64
_FORM: Final = 64 * 1024
"""What the form around the file may weigh."""


class NoFile(Malformed):
    """Send the file as `file`, or its JSON as `catalogue`."""

    code = "import_without_file"


class JSON(BaseParser):
    """Reads an import as one JSON object, as large and as deep as a catalogue may be."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ANN401, ARG002 - the framework's
        """Return the object. Raises strict.NotStrictJson, NotAnObject, offers.TooMuch."""
        content = stream.read(offers.LARGEST + _FORM + 1)
        if len(content) > offers.LARGEST + _FORM:
            raise offers.TooMuch(largest=offers.LARGEST)
        value = strict.loads(content, largest=offers.LARGEST + _FORM, deepest=_DEEPEST)
        if not isinstance(value, dict):
            raise NotAnObject
        return value


class Form(BaseParser):
    """Reads an import as a form with a file, in memory; the text of the file becomes `text`."""

    media_type = "multipart/form-data"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ANN401, ARG002 - as above
        """Return the fields. Raises Malformed, offers.TooMuch."""
        request = parser_context["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > offers.LARGEST + _FORM:
            raise offers.TooMuch(largest=offers.LARGEST)
        try:
            fields, files = MultiPartParser(request.META, stream, [_InMemory(request)]).parse()  # type: ignore[arg-type]
        except MultiPartParserError as why:
            raise Malformed from why
        result: dict[str, Any] = {name: values[-1] for name, values in fields.lists()}
        for name, file in files.items():
            if name != "file" or "text" in result or isinstance(file, list):
                raise Malformed("The form holds one file, as `file`.")
            try:
                result |= {"text": file.read().decode(), "file_name": file.name or ""}
            except UnicodeDecodeError as why:
                raise strict.NotStrictJson("The file is not UTF-8.") from why
        return result


class _InMemory(MemoryFileUploadHandler):
    """Keeps the file in memory, whatever its size: nothing that was sent is ever written to a disk."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - the framework's
        """Take every file; the size was limited before."""
        self.activated = True


class ProblemDetailsSerializer(OutputSerializer):
    """What was wrong with one row, or left out of it."""

    row = serializers.IntegerField()
    system = serializers.CharField()
    tool = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    refused = serializers.BooleanField()


class CountsSerializer(OutputSerializer):
    """What becomes of systems and tools: what would, before the yes, and what has, after it."""

    systems_new = serializers.IntegerField()
    systems_known = serializers.IntegerField()
    tools_new = serializers.IntegerField()
    tools_changed = serializers.IntegerField()
    tools_same = serializers.IntegerField()
    left_alone = serializers.IntegerField()
    refused = serializers.IntegerField()


class ImportSerializer(OutputSerializer):
    """One import: the file, how far it has come, and what stayed out. Names in it were written by strangers."""

    id = serializers.UUIDField()
    file_name = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    form = serializers.ChoiceField(choices=[form.value for form in offers.Form])
    owner = serializers.CharField(source="owner.login")
    by = serializers.CharField()
    state = serializers.ChoiceField(choices=CatalogImport.State.choices)
    systems = serializers.IntegerField()
    tools = serializers.IntegerField()
    position = serializers.IntegerField()
    counts = CountsSerializer()
    problems = ProblemDetailsSerializer(many=True)
    problems_left_out = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class ImportInputSerializer(InputSerializer):
    """A file to import. `owner` will own what is new; with `confirm` it is taken in without a second look."""

    owner = Text(max_length=64)
    file_name = Text(max_length=200, required=False)
    confirm = serializers.BooleanField(default=False)
    catalogue = serializers.JSONField(required=False)
    text = Text(max_length=offers.LARGEST, required=False, trim_whitespace=False)


class _Imports(Resource):
    shown: ClassVar[type[OutputSerializer]] = ImportSerializer
    subject = actions.IMPORT_SUBJECT


class Imports(_Imports, CreateEndpoint):
    """Import a catalogue of systems and tools.

    Send a form with a `file`, or JSON with the `catalogue` itself. An import approves nothing.

    Without `confirm` it is a preview: the answer lists what it would change. A small import is done when the answer
    comes; a large one runs on, and its address shows the progress.
    """

    parser_classes = (JSON, Form)  # type: ignore[assignment]  # wider than the base's
    action = actions.IMPORT
    asked = ImportInputSerializer

    def read(self) -> dict[str, Any]:
        """Read the file, and the owner by login."""
        asked = super().read()
        return {
            "content": _content(asked),
            "file_name": asked.get("file_name") or "catalogue.json",
            "owner": known_person(asked["owner"]),
            "confirm": asked["confirm"],
        }


class One(_Imports, Detail):
    """Show an import and its progress."""


class Confirm(_Imports, ActionEndpoint):
    """Confirm an import after its preview."""

    action = actions.CONFIRM


def _content(asked: Mapping[str, Any]) -> bytes:
    if ("catalogue" in asked) == ("text" in asked):
        raise NoFile
    return asked["text"].encode() if "text" in asked else strict.dumps(asked["catalogue"])
