"""Operations of OpenAPI documents become tools, or are refused with a reason: nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.openapi.errors import SENTENCES, Why
from entitlements.rest.operation import Body, Field, Media, Shape, Style, of
from tests.entitlements.openapi.documents import body, document, one, operation, query, read, why

TEXT = {"type": "string"}
FLAT = {"type": "object", "properties": {"a": TEXT, "n": {"type": "integer"}}}


def test_an_operation_is_a_tool_with_schema_texts_hints_and_the_place_of_each_argument() -> None:
    root = document(
        "/repos/{owner}/things",
        summary="List things",
        description="All of one owner.",
        parameters=[
            {"name": "owner", "in": "path", "required": True, "schema": TEXT},
            {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}, "description": "From 1."},
            {"name": "X-Trace", "in": "header", "schema": TEXT},
        ],
    )
    tool = one(root)

    assert (tool["name"], tool["title"]) == ("thing", "List things")
    assert tool["description"] == "List things\n\nAll of one owner."
    assert tool["inputSchema"] == {
        "type": "object",
        "properties": {
            "owner": TEXT,
            "page": {"type": "integer", "minimum": 1, "description": "From 1."},
            "X-Trace": TEXT,
        },
        "required": ["owner"],
        "additionalProperties": False,
    }
    assert tool["annotations"] == {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}
    assert [(p.name, p.argument, p.place.value, p.style.value, p.explode, p.required) for p in of(tool).parameters] == [
        ("owner", "owner", "path", "simple", False, True),
        ("page", "page", "query", "form", True, False),
        ("X-Trace", "X-Trace", "header", "simple", False, False),
    ]
    assert read(root).address == "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("schema", "more", "shape", "style", "explode"),
    [
        (TEXT, {}, Shape("string"), Style.FORM, True),
        ({"type": ["integer", "null"]}, {}, Shape("integer"), Style.FORM, True),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, {}, Shape("boolean"), Style.FORM, True),
        ({"enum": ["a", "b"]}, {}, Shape("string"), Style.FORM, True),
        ({"allOf": [{"type": "number"}], "default": 1}, {}, Shape("number"), Style.FORM, True),
        ({"type": "array", "items": {"type": "integer"}}, {}, Shape("array", items="integer"), Style.FORM, True),
        ({"type": "array", "items": TEXT}, {"style": "pipeDelimited"}, Shape("array"), Style.PIPE, False),
        (
            {"type": "array", "items": TEXT},
            {"style": "spaceDelimited", "explode": False},
            Shape("array"),
            Style.SPACE,
            False,
        ),
        (
            FLAT,
            {"style": "deepObject"},
            Shape("object", properties={"a": "string", "n": "integer"}),
            Style.DEEP,
            True,
        ),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"explode": False},
            Shape("object", others="string"),
            Style.FORM,
            False,
        ),
    ],
)
def test_a_value_has_one_shape(
    schema: object,
    more: dict[str, object],
    shape: Shape,
    style: Style,
    explode: bool,  # noqa: FBT001 - a case
) -> None:
    parameter = operation(query(schema, **more)).parameters[0]
    assert (parameter.shape, parameter.style, parameter.explode) == (shape, style, explode)


@pytest.mark.parametrize("style", ["simple", "label", "matrix"])
def test_a_path_has_three_styles(style: str) -> None:
    listed = [{"name": "id", "in": "path", "required": True, "schema": TEXT, "style": style}]
    assert operation(document("/things/{id}", parameters=listed)).parameters[0].style.value == style


def _with(**more: object) -> dict[str, Any]:
    return document(parameters=[{"name": "q", "in": "query", "schema": TEXT, **more}])


def _path(path: str, *names: str) -> dict[str, Any]:
    return document(path, parameters=[{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names])


REFUSED = [
    (Why.METHOD, document(method="trace")),
    (Why.COOKIE, _with(**{"in": "cookie"})),
    (Why.MALFORMED, _with(**{"in": "body"})),
    (Why.MALFORMED, document(parameters={})),
    (Why.MALFORMED, document(parameters=[{"$ref": 7}])),
    (Why.CONTENT, _with(content={"application/json": {}})),
    (Why.RESERVED, _with(allowReserved=True)),
    (Why.STYLE, _with(style="matrix")),
    (Why.STYLE, _with(style="deepObject")),
    (Why.STYLE, _with(style="pipeDelimited")),
    (Why.STYLE, query({"type": "array", "items": TEXT}, style="spaceDelimited", explode=True)),
    (Why.NAME, _with(name="")),
    (Why.NAME, _with(name="x" * 129)),
    (Why.NAME, _with(name="a\u202eb")),
    (Why.NAME, _with(name="a b")),
    (Why.NAME, _with(name="a(b)", **{"in": "header"})),
    (Why.TWICE, document(parameters=[{"name": "q", "in": "query", "schema": TEXT}] * 2)),
    (
        Why.TWICE,
        document(
            parameters=[{"name": name, "in": "header", "schema": TEXT} for name in ("x-a", "X-A")],
        ),
    ),
    (
        Why.TWICE,
        document(
            parameters=[
                {"name": "f", "in": "query", "style": "deepObject", "schema": FLAT},
                {"name": "f[a]", "in": "query", "schema": TEXT},
            ]
        ),
    ),
    (
        Why.TWICE,
        document(
            parameters=[{"name": "f", "in": "query", "schema": FLAT}, {"name": "a", "in": "query", "schema": TEXT}],
        ),
    ),
    (Why.NESTED, query({"type": "array", "items": {"type": "array", "items": TEXT}})),
    (Why.NESTED, query({"type": "object", "properties": {"a": FLAT}}, style="deepObject")),
    (Why.NESTED, query({"type": "object", "additionalProperties": TEXT})),
    (Why.NESTED, query({**FLAT, "oneOf": [FLAT, FLAT]})),
    (Why.MIXED, query({"type": ["string", "integer"]})),
    (Why.MIXED, query({"anyOf": [TEXT, {"type": "integer"}]})),
    (Why.UNTYPED, query({})),
    (Why.UNTYPED, query(schema=True)),
    (Why.UNTYPED, query({"type": "object"})),
    (Why.UNTYPED, query({"type": "file"})),
    (Why.UNTYPED, document(parameters=[{"name": "q", "in": "query"}])),
    (Why.PATH, _path("/a/../b")),
    (Why.PATH, _path("/a//b")),
    (Why.PATH, _path("/a%2fb")),
    (Why.PATH, _path("/a?b=1")),
    (Why.PATH, _path("/a#b")),
    (Why.PATH, _path("/a\\b")),
    (Why.PATH, _path("no")),
    (Why.PATH, _path("/a\u202eb")),
    (Why.PATH, _path("/.{id}", "id")),
    (Why.PATH, _path("/..")),
    (Why.PATH, _path("/%2e{id}", "id")),
    (Why.PATH, _path("/{a}...{b}", "a", "b")),
    (Why.PATH, _path("/" + "a" * 500)),
    (Why.PATH_PARAMETERS, _path("/a/{id}")),
    (Why.PATH_PARAMETERS, _path("/a", "id")),
    (Why.PATH_PARAMETERS, _path("/{id}/{id}", "id")),
    (Why.SERVERS, document(servers=[{"url": "https://other.example.com"}])),
    (Why.BODY_WITH_METHOD, document(requestBody={"content": {"application/json": {}}})),
    (Why.BODY_TYPE, body("application/xml", FLAT)),
    (Why.BODY_TYPE, body("*/*", FLAT)),
    (Why.BODY_TYPE, body("application/merge-patch+json", FLAT)),
    (Why.BODY_FORM, body("multipart/form-data", TEXT)),
    (Why.BODY_FORM, body("multipart/form-data", {**FLAT, "additionalProperties": TEXT})),
    (Why.BODY_FORM, body("multipart/form-data", {**FLAT, "anyOf": [{"required": ["a"]}]})),
    (Why.NESTED, body("application/x-www-form-urlencoded", {"type": "object", "properties": {"a": FLAT}})),
    (Why.ENCODING, body("application/x-www-form-urlencoded", FLAT, encoding={"a": {"allowReserved": True}})),
    (Why.ENCODING, body("application/x-www-form-urlencoded", FLAT, encoding={"a": {"style": "matrix"}})),
    (Why.ENCODING, body("multipart/form-data", FLAT, encoding={"a": {"headers": {"X-A": {}}}})),
    (Why.ENCODING, body("multipart/form-data", FLAT, encoding={"a": {"contentType": "application/xml"}})),
    (Why.REFERENCE_ELSEWHERE, query({"$ref": "https://evil.example/schema.json"})),
    (Why.REFERENCE_ELSEWHERE, query({"$ref": "file:///etc/passwd"})),
    (Why.REFERENCE_ELSEWHERE, body("application/json", {"$ref": "other.yaml#/a"})),
    (Why.REFERENCE_LOST, query({"$ref": "#/components/schemas/None"})),
    (Why.REFERENCE_LOST, query({"$ref": "#/paths/0"})),
    (Why.KEYWORD, body("application/json", {"$id": "https://a.example"})),
    (Why.KEYWORD, body("application/json", {"$dynamicRef": "#a"})),
    (Why.KEYWORD, body("application/json", {"$schema": "http://json-schema.org/draft-04/schema"})),
    (Why.DEFINITION, body("application/json", {"type": "strange"})),
    (Why.DEFINITION, body("application/json", {"pattern": "("})),
    (Why.DEFINITION, body("application/json", {"enum": ["x" * 300_000]})),
]


@pytest.mark.parametrize(("reason", "root"), REFUSED, ids=[f"{i}-{case[0].value}" for i, case in enumerate(REFUSED)])
def test_what_cannot_be_mapped_exactly_is_refused(reason: Why, root: dict[str, Any]) -> None:
    assert why(root) == reason.value


@pytest.mark.parametrize(
    "name",
    ["Authorization", "cookie", "Host", "Content-Type", "content-length", "Accept", "Connection", "TE",
     "Mcp-Session-Id", "X-Forwarded-For", "Forwarded", "Transfer-Encoding", "Proxy-Authorization",
     "X-HTTP-Method-Override", "Upgrade"],
)  # fmt: skip
def test_no_argument_sets_a_header_that_the_gateway_sets(name: str) -> None:
    assert why(_with(name=name, **{"in": "header"})) == Why.HEADER.value


def test_each_reason_has_a_sentence_and_a_case() -> None:
    elsewhere = {Why.HEADER, Why.PATH_TWICE, Why.NAME_CLASH, Why.REFERENCE_LOOP, Why.TOO_LARGE}
    assert {reason for reason, _ in REFUSED} | elsewhere == set(Why) == set(SENTENCES)


def test_a_parameter_may_stand_between_two_texts() -> None:
    assert operation(_path("/reports/year-{id}.json", "id")).path == "/reports/year-{id}.json"


def test_what_refers_to_itself_is_a_definition_in_a_body_and_refused_in_an_address() -> None:
    tree = {"type": "object", "properties": {"inner": {"$ref": "#/components/schemas/Tree"}}}
    loop = {"$ref": "#/components/schemas/Loop"}
    components = {"components": {"schemas": {"Tree": tree, "Loop": loop}, "parameters": {"Loop": {"$ref": "#/components/parameters/Loop"}}}}  # fmt: skip  # noqa: E501
    tool = one({**body("application/json", {"$ref": "#/components/schemas/Tree"}), **components})
    assert tool["inputSchema"]["properties"]["body"] == {"$ref": "#/$defs/Tree"}
    assert tool["inputSchema"]["$defs"]["Tree"]["properties"]["inner"] == {"$ref": "#/$defs/Tree"}

    assert why({**query({"$ref": "#/components/schemas/Loop"}), **components}) == Why.REFERENCE_LOOP.value
    listed = document(parameters=[{"$ref": "#/components/parameters/Loop"}])
    assert why({**listed, **components}) == Why.REFERENCE_LOOP.value


def test_schemas_that_unfold_without_end_are_refused() -> None:
    doubled = {f"s{i}": {"type": "object", "properties": {k: {"$ref": f"#/components/schemas/s{i + 1}"} for k in "ab"}} for i in range(20)}  # fmt: skip  # noqa: E501
    components = {"components": {"schemas": {**doubled, "s20": TEXT}}}
    found = read({**query({"$ref": "#/components/schemas/s0"}), **components})
    assert [each.why for each in found.refused] == [Why.TOO_LARGE]
    assert why({**body("application/json", {"$ref": "#/components/schemas/s0"}), **components}) == Why.DEFINITION.value


def test_the_schemas_of_3_0_are_written_in_those_of_2020_12() -> None:
    schema = {
        "type": "object",
        "required": ["id", "size"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "size": {
                "type": "integer",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": False,
            },
            "note": {"type": "string", "nullable": True, "example": "x", "x-internal": 1, "xml": {}},
            "any": {"nullable": True, "const": 1},
        },
    }
    assert one(body("application/json", schema, version="3.0.3"))["inputSchema"]["properties"]["body"] == {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9},
            "note": {"type": ["string", "null"]},
            "any": {},
        },
    }


def test_beside_a_reference_3_0_says_nothing_and_3_1_says_more() -> None:
    components = {"components": {"schemas": {"Name": TEXT}}}
    schema = {"$ref": "#/components/schemas/Name", "maxLength": 5}
    of_30 = one({**query(schema), **components, "openapi": "3.0.0"})["inputSchema"]["properties"]["q"]
    assert of_30 == TEXT
    of_31 = one({**body("application/json", schema), **components})["inputSchema"]["properties"]["body"]
    assert of_31 == {"maxLength": 5, "$ref": "#/$defs/Name"}


def test_the_best_of_several_bodies_is_taken_and_its_argument_is_not_that_of_a_parameter() -> None:
    content = {"text/xml": {}, "application/octet-stream": {}, "application/json; charset=utf-8": {"schema": FLAT}}
    listed = [{"name": "body", "in": "query", "schema": TEXT}]
    root = document(method="post", parameters=listed, requestBody={"content": content})
    assert operation(root).body == Body(media=Media.JSON, argument="body_")
    assert set(one(root)["inputSchema"]["properties"]) == {"body", "body_"}


def test_a_multipart_body_has_texts_and_octets() -> None:
    schema = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "more": {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}},
            "tags": {"type": "array", "items": TEXT},
        },
    }
    root = body("multipart/form-data", schema, encoding={"file": {"contentType": "image/png"}})
    carried = operation(root).body
    assert carried is not None
    assert carried.fields == {
        "file": Field(shape=Shape("string"), binary=True, content_type="image/png"),
        "more": Field(shape=Shape("array"), binary=True),
        "tags": Field(shape=Shape("array")),
    }
    written = one(root)["inputSchema"]["properties"]["body"]
    assert written["properties"]["file"] == {"type": "string", "contentEncoding": "base64"}
    assert (written["required"], written["additionalProperties"]) == (["file"], False)


def test_octets_are_base64_in_the_arguments() -> None:
    assert one(body("application/octet-stream", {}))["inputSchema"]["properties"]["body"] == {
        "type": "string",
        "contentEncoding": "base64",
    }


def test_one_name_in_two_places_is_two_arguments() -> None:
    listed = [{"name": "id", "in": place, "required": True, "schema": TEXT} for place in ("path", "query")]
    assert [p.argument for p in operation(document("/{id}", parameters=listed)).parameters] == ["path_id", "query_id"]


def test_parameters_of_the_path_hold_unless_the_operation_has_its_own() -> None:
    root = document("/{id}", parameters=[{"name": "q", "in": "query", "schema": {"type": "integer"}}])
    root["paths"]["/{id}"]["parameters"] = [
        {"name": "id", "in": "path", "required": True, "schema": TEXT},
        {"name": "q", "in": "query", "schema": TEXT},
    ]
    assert [(p.name, p.shape.kind) for p in operation(root).parameters] == [("id", "string"), ("q", "integer")]
