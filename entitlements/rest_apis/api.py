"""The OpenAPI document of a REST API over the API: look at one before, read another, declare an operation by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, ClassVar, Final

from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements import strict
from entitlements.api.actions import Performed
from entitlements.api.endpoints import Endpoint
from entitlements.api.fields import InputSerializer, OutputSerializer, Text
from entitlements.api.parsers import NotAnObject
from entitlements.api.resources import ActionEndpoint, Detail, Resource
from entitlements.catalog import actions as catalog_actions
from entitlements.catalog.models import System
from entitlements.errors import Malformed, NotFound
from entitlements.openapi import documents
from entitlements.rest.operation import Method
from entitlements.rest_apis import actions, rest_apis, sources
from entitlements.rest_apis.models import RestApi

_FIELDS: Final = 64 * 1024
"""What the fields beside a document may weigh."""
_LARGEST: Final = documents.LARGEST + _FIELDS


class LargeJSON(BaseParser):
    """Reads one JSON object that may hold an OpenAPI document."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ANN401, ARG002 - the framework's
        """Return the object. Raises strict.NotStrictJson, NotAnObject."""
        value = strict.loads(stream.read(_LARGEST + 1), largest=_LARGEST, deepest=documents.DEEPEST + 1)
        if not isinstance(value, dict):
            raise NotAnObject
        return value


class DocumentForm(BaseParser):
    """Reads a form with the document as `file`, in memory."""

    media_type = "multipart/form-data"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ANN401, ARG002 - the framework's
        """Return the one field `file`. Raises Malformed."""
        request = parser_context["request"]
        try:
            fields, files = MultiPartParser(request.META, stream, [_InMemory(request)]).parse()  # type: ignore[arg-type]
        except MultiPartParserError as why:
            raise Malformed from why
        file = files.get("file")
        if fields or set(files) != {"file"} or file is None or isinstance(file, list):
            raise Malformed("The form holds one file, as `file`.")
        return {"openapi": sources.of_file(file.read(), file.name or "")}


class _InMemory(MemoryFileUploadHandler):
    """Keeps the file in memory, whatever its size: nothing that was sent is ever written to a disk."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - the framework's
        """Take every file; the size of the request was limited before."""
        self.activated = True


@extend_schema_field(OpenApiTypes.ANY)
class DocumentField(serializers.Field[sources.Source, Any, Any, Any]):
    """An OpenAPI document: its address, or the document itself."""

    default_error_messages: Final = {"invalid": "Give the address of the document, or the document as an object."}  # type: ignore[misc]

    def to_internal_value(self, data: Any) -> sources.Source:  # noqa: ANN401 - as above
        """Fetch it where it is an address. Raises as sources.fetch."""
        if isinstance(data, sources.Source):
            return data
        if not isinstance(data, str | dict) or not data:
            self.fail("invalid")
        return sources.of(data)


class DocumentInputSerializer(InputSerializer):
    """A document."""

    openapi = DocumentField(help_text="The address of an OpenAPI 3.0 or 3.1 document, or the document itself.")


class RefusedSerializer(OutputSerializer):
    """An operation that no tool comes from, and why. Names in it were written by strangers."""

    method = serializers.CharField()
    path = serializers.CharField()
    operation_id = serializers.CharField()
    why = serializers.CharField()
    about = serializers.CharField()


class RenamedSerializer(OutputSerializer):
    """An operation whose tool is not called by its id."""

    method = serializers.CharField()
    path = serializers.CharField()
    was = serializers.CharField()
    now = serializers.CharField()


class _DocumentFields(OutputSerializer):
    title = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()
    refused = RefusedSerializer(many=True)
    renamed = RenamedSerializer(many=True)


class OpenApiPreviewSerializer(_DocumentFields):
    """What a document would become: its tools by name, and what is refused or renamed."""

    api_version = serializers.CharField(source="version")
    address = serializers.CharField(help_text="The one server it names; empty where it names none or several.")
    tools = serializers.SerializerMethodField()

    def get_tools(self, imported: Any) -> list[str]:  # noqa: ANN401 - an Imported
        """Return the names of the tools."""
        return [tool["name"] for tool in imported.tools]


class DocumentSerializer(_DocumentFields):
    """The document that a REST API was read from last."""

    document_url = serializers.CharField()
    file_name = serializers.CharField()
    api_version = serializers.CharField()
    read_at = serializers.DateTimeField(allow_null=True)
    operations = serializers.IntegerField()
    declared = serializers.SerializerMethodField()

    def get_declared(self, rest_api: RestApi) -> list[str]:
        """Return the names of the operations that were declared by hand."""
        return [definition["name"] for definition in rest_api.declared]


class FoundSerializer(OutputSerializer):
    """What changed, by tool name."""

    added = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.CharField())
    quarantined = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    returned = serializers.ListField(child=serializers.CharField())
    malformed = serializers.DictField(child=serializers.CharField())


class OperationInputSerializer(InputSerializer):
    """One operation, in the words of an Operation Object of OpenAPI 3.1, without references."""

    name = Text(max_length=128, help_text="The name of its tool.")
    method = serializers.ChoiceField(choices=[method.value for method in Method])
    path = Text(max_length=500, help_text="The path template below the address of the system: `/orders/{number}`.")
    summary = Text(max_length=200, default="", allow_blank=True)
    description = Text(max_length=10_000, default="", allow_blank=True)
    parameters = serializers.ListField(child=serializers.DictField(), default=list, max_length=100)
    request_body = serializers.DictField(required=False, help_text="A Request Body Object.")


class _Systems(Resource):
    subject = catalog_actions.SYSTEM


class Preview(Endpoint):
    """Read an OpenAPI document, and list what would become of it. Nothing is stored or recorded."""

    parser_classes = (LargeJSON, DocumentForm)  # type: ignore[assignment]  # wider than the base's
    asked = DocumentInputSerializer
    shown: ClassVar[type[OutputSerializer]] = OpenApiPreviewSerializer
    answers: ClassVar[int] = 200
    durable = True

    def post(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Preview an OpenAPI document."""
        imported = rest_apis.preview(self.body(self.asked)["openapi"])
        return Response(OpenApiPreviewSerializer(imported).data)


class Document(_Systems, Detail, ActionEndpoint):
    """The OpenAPI document of a REST API.

    get: Show the document that a REST API was read from last.
    put: Read another OpenAPI document. Its operations are compared with the pinned tools.
    """

    parser_classes = (LargeJSON, DocumentForm)  # type: ignore[assignment]  # wider than the base's
    action = actions.READ_DOCUMENT
    asked = DocumentInputSerializer
    shown: ClassVar[type[OutputSerializer]] = DocumentSerializer
    durable = True

    def read(self) -> dict[str, Any]:
        """Read the document."""
        return {"source": super().read()["openapi"]}

    def show(self, row: System, **kwargs: Any) -> Response:  # noqa: ANN401 - as the base's
        """Answer with the document. Raises NotFound for a system without one."""
        rest_api = RestApi.objects.filter(system=row).first()
        if rest_api is None:
            raise NotFound
        return Response(DocumentSerializer(rest_api).data, **kwargs)


class Operations(_Systems, ActionEndpoint):
    """Declare one operation of a REST API by hand. It waits for approval like any new tool."""

    action = actions.DECLARE_OPERATION
    asked = OperationInputSerializer
    shown: ClassVar[type[OutputSerializer]] = FoundSerializer

    def read(self) -> dict[str, Any]:
        """Read the operation, in the words of OpenAPI."""
        return declared(super().read())

    def answer(self, performed: Performed) -> Response:
        """Answer with what is new or changed."""
        return Response(asdict(performed.result))


def declared(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation as `rest_apis.declare` takes it, from the fields of either door."""
    operation = {key: values[key] for key in ("summary", "description", "parameters")}
    if "request_body" in values:
        operation["requestBody"] = values["request_body"]
    return {**{key: values[key] for key in ("name", "method", "path")}, "operation": operation}


ADDRESSES: Final = (
    ("openapi-preview", Preview, "openapi-preview"),
    ("systems/<slug:key>/openapi", Document, "system-openapi"),
    ("systems/<slug:key>/operations", Operations, "system-operations"),
)
"""Address, view and name of each, as the API mounts them."""
