"""One API for the tests of the mapper: each style, each kind of body, and paths that lie close to each other."""

from __future__ import annotations

from entitlements.rest.operation import Body, Field, Media, Method, Operation, Parameter, Place, Shape, Style
from entitlements.rest.read import Incoming, Operations

TEXT, INTEGER, NUMBER, FLAG = Shape("string"), Shape("integer"), Shape("number"), Shape("boolean")
TEXTS, INTEGERS = Shape("array", items="string"), Shape("array", items="integer")
COLOUR = Shape("object", properties={"R": "integer", "name": "string"})
FREE = Shape("object", properties={"known": "boolean"}, others="string")


def path(name: str, shape: Shape = TEXT, style: Style = Style.SIMPLE, *, explode: bool = False) -> Parameter:
    """Declare a parameter of the path."""
    return Parameter(name, name, Place.PATH, style, explode, shape, required=True)


def query(
    name: str, shape: Shape = TEXT, style: Style = Style.FORM, *, explode: bool = True, required: bool = False
) -> Parameter:
    """Declare a parameter of the query."""
    return Parameter(name, name, Place.QUERY, style, explode, shape, required)


def header(name: str, shape: Shape = TEXT, *, explode: bool = False) -> Parameter:
    """Declare a header."""
    return Parameter(name, name.lower().replace("-", "_"), Place.HEADER, Style.SIMPLE, explode, shape)


FORM = {
    "text": Field(TEXT),
    "count": Field(INTEGER),
    "tags": Field(TEXTS),
    "ids": Field(INTEGERS, explode=False),
    "about": Field(Shape("object"), content_type="application/json"),
}
PARTS = {
    "title": Field(TEXT),
    "ids": Field(INTEGERS),
    "file": Field(TEXT, binary=True),
    "about": Field(Shape("object", properties={"a": "integer"})),
}

API = {
    "list": Operation(
        Method.GET,
        "/items",
        (
            query("limit", INTEGER),
            query("price", NUMBER),
            query("open", FLAG),
            query("q"),
            query("tag", TEXTS),
            query("ids", INTEGERS, explode=False),
            query("words", TEXTS, Style.SPACE, explode=False),
            query("pipes", TEXTS, Style.PIPE, explode=False),
            query("filter", FREE, Style.DEEP),
            query("colour", COLOUR, explode=False),
            query("spread", COLOUR),
            header("X-Trace"),
            header("X-Ids", INTEGERS),
            header("X-Colour", COLOUR, explode=True),
        ),
    ),
    "free": Operation(Method.GET, "/free", (query("page", INTEGER, required=True), query("rest", FREE))),
    "read": Operation(Method.GET, "/items/{id}", (path("id"),)),
    "own": Operation(Method.GET, "/items/me"),
    "start": Operation(Method.POST, "/items/{id}:start", (path("id", INTEGER),)),
    "nested": Operation(Method.GET, "/items/{id}/parts/{part}", (path("id"), path("part", INTEGER))),
    "own part": Operation(Method.GET, "/items/me/parts/{part}", (path("part", INTEGER),)),
    "left": Operation(Method.GET, "/near/{any}/end", (path("any"),)),
    "right": Operation(Method.GET, "/near/start/{any}", (path("any"),)),
    "simple": Operation(Method.GET, "/simple/{ids}/{c}", (path("ids", INTEGERS), path("c", COLOUR, explode=True))),
    "label": Operation(
        Method.GET,
        "/label/{ids}/{c}",
        (path("ids", INTEGERS, Style.LABEL, explode=True), path("c", COLOUR, Style.LABEL)),
    ),
    "matrix": Operation(
        Method.GET,
        "/matrix/{t}/{ids}/{c}",
        (
            path("t", TEXT, Style.MATRIX),
            path("ids", INTEGERS, Style.MATRIX, explode=True),
            path("c", COLOUR, Style.MATRIX),
        ),
    ),
    "create": Operation(Method.POST, "/items", (), Body(Media.JSON, required=True)),
    "change": Operation(Method.PATCH, "/items/{id}", (path("id"),), Body(Media.JSON)),
    "form": Operation(Method.POST, "/form", (query("n", INTEGER),), Body(Media.FORM, fields=FORM)),
    "upload": Operation(Method.POST, "/upload", (), Body(Media.MULTIPART, fields=PARTS)),
    "put": Operation(Method.PUT, "/raw/{id}", (path("id", INTEGER),), Body(Media.OCTETS)),
    "remove": Operation(Method.DELETE, "/items/{id}", (path("id"),)),
}
OPERATIONS = Operations(API)


def asked(
    method: str, target: str, body: bytes = b"", content_type: str = "", *headers: tuple[bytes, bytes]
) -> Incoming:
    """Return a request as it comes over the wire."""
    where, _, after = target.encode().partition(b"?")
    named = ((b"content-type", content_type.encode()),) if content_type else ()
    return Incoming(method, where, after, (*named, *headers), body)
