"""The OpenAPI document: what drf-spectacular derives, and what holds for every operation."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

from django.urls import URLResolver, get_resolver
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import Serializer

from entitlements.access import reauthentication
from entitlements.idempotency import idempotency
from entitlements.permissions.matrix import ALWAYS, WEIGHTY, Row

from . import descriptions, permissions

PROBLEM: Final = {
    "type": "object",
    "description": "A problem document (RFC 9457). `code` is stable; `detail` is for people.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "facts": {"type": "object", "additionalProperties": True},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
    },
}
_PROOFS: Final = {
    ALWAYS: "With a personal token: the code of your authenticator app, or your password if you have no second factor.",
    WEIGHTY: "Needed where the risk level is high. With a personal token: the code of your authenticator app, or your "
    "password if you have no second factor.",
}
_ANSWER: Final = {
    "description": "Refused or failed; the code says why.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class Schema(AutoSchema):
    """Adds what every change knows: a key for repeating it, and the version that an edit was made from."""

    def get_override_parameters(self) -> list[OpenApiParameter | Serializer[Any] | type[Serializer[Any]]]:
        """Return the headers of the operation."""
        row = self._row()
        headers: list[OpenApiParameter | Serializer[Any] | type[Serializer[Any]]] = []
        if row and row.proven:
            headers.append(_header(reauthentication.HEADER, _PROOFS[row.proven]))
        if self.method == "POST":
            headers.append(_header(idempotency.HEADER, "Repeating a request with the same key repeats its answer."))
        if self.method in ("PATCH", "PUT"):
            headers.append(_header("If-Match", "The ETag of what the change was made from."))
        return headers

    def get_request_serializer(self) -> Any:  # noqa: ANN401 - the framework's signature
        """Return what the view asks for, where the method changes something."""
        return None if self.method in ("GET", "HEAD") else getattr(self.view, "asked", None)

    def get_response_serializers(self) -> Any:  # noqa: ANN401 - as above
        """Return what the view shows: a page of it, one, or one that is new."""
        serializer = getattr(self.view, "shown", None)
        if serializer is None:
            return None
        if self.method == "GET":
            return (
                serializer(many=True)
                if hasattr(self.view, "pagination_class") and self.view.pagination_class
                else serializer
            )
        also = {int(status): other for status, other in getattr(self.view, "answers_also", {}).items()}
        return {int(getattr(self.view, "answers", 200)): serializer, **also}

    def get_auth(self) -> list[dict[str, Any]]:
        """Return what a caller may identify itself with; nothing is needed where anybody may call."""
        row = self._row()
        return [{}] if row is not None and row.public else super().get_auth()

    def get_summary(self) -> str:
        """Return the first sentence that the view says of the method."""
        return descriptions.parts(get_doc(type(self.view)), self.method)[0]

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular narrowed it first
        """Return the rest of it, and who may call it."""
        _, text = descriptions.parts(get_doc(type(self.view)), self.method)
        return "\n\n".join(filter(None, (text, descriptions.callers(self._row() or Row()))))

    def _row(self) -> Row | None:
        return permissions.row_of(getattr(self.view, "matrix", {}), _names().get(self.path, ""), self.method)

    def get_operation_id(self) -> str:
        """Name an operation by its address, which is unique, and its method."""
        parts = self.path.removeprefix("/api/v1/").replace("-", "_").split("/")
        return "_".join([*(part for part in parts if not part.startswith("{")), self._one(), self.method.lower()])

    def _one(self) -> str:
        return "one" if "{" in self.path else "all"


@functools.cache
def _names() -> dict[str, str]:
    """Return the name of each address, as the matrix calls it, by its path as the document writes it."""
    names, waiting = {}, [("/", get_resolver())]
    while waiting:
        prefix, resolver = waiting.pop()
        for pattern in resolver.url_patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                waiting.append((path, pattern))
            else:
                names[re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)] = pattern.name or ""
    return names


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=False, description=description)


def add_problems(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Postprocess: every operation may answer with a problem document."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for item in result["paths"].values():
        for operation in item.values():
            operation["responses"]["default"] = _ANSWER
    _drop(result, "x-spec-enum-id")
    return result


def _drop(node: object, name: str) -> None:
    """Leave out a mark of the generator, which changes with the order of choices and tells a reader nothing."""
    if isinstance(node, dict):
        node.pop(name, None)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _drop(inner, name)


class PersonalTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes personal tokens."""

    target_class = "entitlements.access.authentication.PersonalToken"
    name = "personalToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 - its signature
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A personal token, `mdt_...`."}


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes access tokens of /as/mandate."""

    target_class = "entitlements.access.authentication.AccessToken"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 - as above
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Issued by `/as/mandate`."}


class ConsoleSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the console's session."""

    target_class = "entitlements.access.authentication.ConsoleSession"
    name = "consoleSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 - as above
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "__Host-session"}
