"""Names, addresses and whole documents: what is renamed is listed, and what cannot be read is refused as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from entitlements.definitions import definitions
from entitlements.definitions.definitions import Change
from entitlements.openapi import reader
from entitlements.openapi.errors import DocumentMalformed, OperationRefused, Why
from entitlements.rest.operation import Operation, of
from tests.entitlements.openapi.documents import document, one, query, read

TEXT = {"type": "string"}


def _named(*named: tuple[str, str, str | None]) -> dict[str, Any]:
    root = document()
    root["paths"] = {}
    for method, path, operation_id in named:
        root["paths"].setdefault(path, {})[method] = {"operationId": operation_id} if operation_id is not None else {}
    return root


def test_a_name_that_is_missing_twice_there_or_not_a_tools_is_changed_visibly_and_never_by_order() -> None:
    cases = [("get", "/a", "same"), ("get", "/b", "same"), ("post", "/c", None), ("get", "/d", "repos/get \u202eit")]
    found = read(_named(*cases))
    now = {(each.method, each.path): each.now for each in found.renamed}
    assert now == {
        ("GET", "/a"): "get_a",
        ("GET", "/b"): "get_b",
        ("POST", "/c"): "post_c",
        ("GET", "/d"): "repos_get_it",
    }
    assert {each.was for each in found.renamed} == {"same", "", "repos/get \\u{202e}it"}
    turned = read(_named(*reversed(cases)))
    assert {each["name"] for each in turned.tools} == {each["name"] for each in found.tools}


def test_a_name_that_clashes_in_every_way_is_refused_and_a_long_one_is_cut() -> None:
    found = read(_named(("get", "/a/b", None), ("get", "/a_b", None), ("get", "/l", "n" * 500)))
    assert [each.why for each in found.refused] == [Why.NAME_CLASH] * 2
    (tool,) = found.tools
    assert len(tool["name"]) == 128


def test_what_was_declared_by_hand_keeps_its_name_and_its_place() -> None:
    mine = reader.declare("GET", "/things/{id}", "mine", {"parameters": [{"name": "id", "in": "path", "schema": TEXT}]})
    root = _named(("get", "/a", "mine"))
    root["paths"] |= document("/things/{x}", parameters=[{"name": "x", "in": "path", "schema": TEXT}])["paths"]
    found = read(root, declared=[mine])
    assert [tool["name"] for tool in found.tools] == ["get_a"]
    assert [(each.why, each.about) for each in found.refused] == [(Why.PATH_TWICE, "mine")]


def test_two_paths_that_are_one_address_are_refused() -> None:
    root = document("/things/{a}", parameters=[{"name": "a", "in": "path", "required": True, "schema": TEXT}])
    root["paths"] |= document("/things/{b}", parameters=[{"name": "b", "in": "path", "required": True, "schema": TEXT}])["paths"]  # fmt: skip  # noqa: E501
    assert [each.why for each in read(root).refused] == [Why.PATH_TWICE] * 2


@pytest.mark.parametrize(
    ("servers", "source", "address"),
    [
        ([{"url": "https://a.example/v1/"}], "", "https://a.example/v1"),
        ([{"url": "/v1"}], "https://a.example/docs/openapi.json", "https://a.example/v1"),
        ([{"url": "/v1"}], "", ""),
        ([], "https://a.example/openapi.json", ""),
        ([{"url": "https://a.example"}, {"url": "https://b.example"}], "", ""),
        ([{"url": "https://{region}.a.example", "variables": {"region": {"default": "eu"}}}], "", ""),
        ([{"url": "https://[::1"}], "", ""),
        ([{"url": "javascript:alert(1)"}], "", ""),
        ([{"url": 7}], "", ""),
        ("no", "", ""),
    ],
)
def test_the_address_is_taken_only_where_there_is_one(servers: object, source: str, address: str) -> None:
    assert read({**document(), "servers": servers}, source=source).address == address


@pytest.mark.parametrize(
    "root",
    [
        {"swagger": "2.0", "paths": {}},
        {"openapi": "3.2.0", "paths": {}},
        {"openapi": 3.1, "paths": {}},
        {"openapi": "3.1.0", "paths": []},
        {"openapi": "3.1.0", "paths": {}, "jsonSchemaDialect": "https://evil.example"},
        {"openapi": "3.1.0", "paths": {f"/{i}": {"get": {}} for i in range(reader.MOST_OPERATIONS + 1)}},
        {},
    ],
)
def test_what_is_not_openapi_3_0_or_3_1_is_refused_as_a_whole(root: dict[str, Any]) -> None:
    with pytest.raises(DocumentMalformed):
        read(root)


def test_a_document_without_a_usable_path_item_is_read_and_says_so() -> None:
    root = {**document(), "paths": {"/a": {"$ref": "https://evil.example/a"}, "/b": 7, "x-c": 1}}
    assert [(each.path, each.why) for each in read(root).refused] == [
        ("/a", Why.REFERENCE_ELSEWHERE),
        ("/b", Why.MALFORMED),
    ]


def test_a_change_of_where_an_argument_stands_is_a_change_of_schema() -> None:
    before, after = one(query(TEXT)), one(query(TEXT, **{"in": "header"}))
    assert definitions.classify(before, after) is Change.SCHEMA_CHANGED
    assert definitions.classify(before, one(query(TEXT))) is Change.NONE


def test_an_operation_is_declared_by_hand_under_the_same_rules() -> None:
    described = {"parameters": [{"name": "id", "in": "path", "schema": TEXT}], "summary": "Get a thing"}
    tool = reader.declare("GET", "/things/{id}", "get_thing", described)
    assert isinstance(of(tool), Operation)
    assert (tool["name"], tool["description"]) == ("get_thing", "Get a thing")
    for method, path, name, declared in (
        ("TRACE", "/a", "a", {}),
        ("GET", "/a/{id}", "a", {}),
        ("GET", "/a", "no name", {}),
        ("GET", "/a", "a", {"parameters": [{"$ref": "#/components/parameters/x"}]}),
    ):
        with pytest.raises(OperationRefused):
            reader.declare(method, path, name, declared)
