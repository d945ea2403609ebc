"""One operation of a REST API as a tool: which argument of a call stands where in a request. Pure.

The member `http` of a tool's definition holds it, so it is hashed, compared and approved with the schema, and no client
is shown it. Words and meaning are those of OpenAPI 3.1 (Parameter and Media Type Objects); `$ref` is resolved before.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

MEMBER: Final = "http"
"""The member of a tool's definition that holds its operation."""
BODY: Final = "body"
"""The argument that is the request's body, where no parameter has that name; else `body_`."""

type Primitive = Literal["string", "integer", "number", "boolean"]


class Method(StrEnum):
    """What a request may do. TRACE and CONNECT are refused at import."""

    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Place(StrEnum):
    """Where a parameter stands. Cookies are refused at import."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


class Style(StrEnum):
    """How a value is written: `simple`, `label`, `matrix` in paths, `simple` in headers, the others in queries."""

    SIMPLE = "simple"
    LABEL = "label"
    MATRIX = "matrix"
    FORM = "form"
    SPACE = "spaceDelimited"
    PIPE = "pipeDelimited"
    DEEP = "deepObject"


class Media(StrEnum):
    """The types of bodies that we write ourselves; every other is refused at import."""

    JSON = "application/json"
    FORM = "application/x-www-form-urlencoded"
    MULTIPART = "multipart/form-data"
    OCTETS = "application/octet-stream"


class Shape(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a value is, as far as text in an address or a form can carry it: a primitive, or one level of them.

    `items` is the primitive of an array's elements; `properties` names those of an object, `others` what it may hold
    besides (nothing, if empty).
    """

    kind: Primitive | Literal["array", "object"]
    items: Primitive = "string"
    properties: dict[str, Primitive] = {}
    others: Primitive | Literal[""] = ""


class Parameter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One declared parameter: its name in the request, and the argument of the tool that it carries."""

    name: str
    argument: str
    place: Place
    style: Style
    explode: bool
    shape: Shape
    required: bool = False


class Field(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One field of a form or one part of a multipart body. A part that is `binary` is base64 in the arguments."""

    shape: Shape
    style: Style = Style.FORM
    explode: bool = True
    binary: bool = False
    content_type: str = ""


class Body(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body: one media type. `fields` are those of a form or of parts; octets are base64 in the arguments."""

    media: Media
    argument: str = BODY
    required: bool = False
    fields: dict[str, Field] = {}


class Operation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One method at one path template of the system: `/repos/{owner}/{repo}`, below the system's upstream address.

    `answers` are the media types that its answers are documented with; what else comes back is octets.
    """

    method: Method
    path: str
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: tuple[str, ...] = (Media.JSON,)


def of(definition: Mapping[str, Any]) -> Operation:
    """Return the operation of a tool's definition. Raises msgspec.ValidationError without a whole one."""
    return msgspec.convert(definition.get(MEMBER), Operation)


def as_member(operation: Operation) -> dict[str, Any]:
    """Return an operation as the member `http` of a definition: JSON values alone, defaults left out."""
    built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(operation))
    return built
