"""Texts of documents that are hostile or broken: the one error of the room, soon, and never another."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.openapi import documents, reader, yaml_text
from entitlements.openapi.errors import DocumentMalformed, Why
from tests.entitlements.openapi.documents import document

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)
WORDS = st.sampled_from(
    ["$ref", "type", "properties", "items", "anyOf", "allOf", "enum", "required", "schema", "in", "name", "style",
     "content", "parameters", "requestBody", "responses", "operationId", "servers", "default", "additionalProperties",
     "application/json", "multipart/form-data", "encoding", "explode", "nullable", "readOnly", "get", "description"]
)  # fmt: skip
ATOMS = VALUES | st.sampled_from(
    ["string", "object", "array", "null", "path", "query", "header", "form", "deepObject", "#/paths", "#",
     "#/paths/~1a", "#/paths/~1a/get", "//", "binary"]
)  # fmt: skip
NODES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)
BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no", {"a": "no"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 1:30", {"a": "1:30"}),
        ("200: {x: ~}", {"200": {"x": None}}),
        ("a: [0o17, 0x1f, 017, 1e3, .5, -0]", {"a": [15, 31, 17, 1000.0, 0.5, 0]}),
        ("a: [true, 'true', !!str 1]", {"a": [True, "true", "1"]}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("'<<': 1", {"<<": 1}),
    ],
)  # fmt: skip
def test_yaml_is_read_as_json_by_the_core_schema(text: str, value: object) -> None:
    assert yaml_text.loads(text.encode(), deepest=10) == value


HOSTILE = {
    "twice in YAML": b"a: 1\na: 2",
    "twice in JSON": b'{"openapi":"3.1.0","openapi":"3.0.0","paths":{}}',
    "bomb": BOMB.encode(),
    "bomb of a text": f"openapi: 3.1.0\nx: &a {'x' * 99_000}\ny: [{'*a,' * 9_000}]".encode(),
    "bomb of a name": f"openapi: 3.1.0\nx: &a {{{'x' * 999}: 1}}\ny: [{'*a,' * 30_000}]".encode(),
    "holds itself": b"&a [*a]",
    "unknown alias": b"a: *b",
    "merge": b"a: &a {b: 1}\nc: {<<: *a}",
    "python": b"!!python/object/apply:os.system ['true']",
    "own tag": b"a: !thing 1",
    "tag of another kind": b"a: !!int x",
    "a list as name": b"? [a]\n: 1",
    "an alias as name": b"a: &a b\n*a : 1",
    "two documents": b"a: 1\n---\nb: 2",
    "nothing": b"",
    "infinite": b"a: .inf",
    "too large a number": b"a: 1e999999",
    "too long a number": b"a: " + b"9" * 5000,
    "deep YAML": b"a: " + b"[" * 5000,
    "deep JSON": b'{"a":' * 5000,
    "NUL": b'{"openapi":"3.1.0","paths":{},"x":"\\u0000"}',
    "half a pair": b'{"openapi":"3.1.0","paths":{},"x":"\\ud800"}',
    "not UTF-8": b"a: \xff",
    "UTF-16": "openapi: 3.1.0".encode("utf-16"),
    "a list": b"[]",
    "large": b"{" + b" " * documents.LARGEST,
    "large YAML": b"a:" + b" " * documents.LARGEST_YAML,
    "many commas": b"{" + b"," * 2_000_001,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_is_refused_soon(text: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(DocumentMalformed):
        reader.read(text)
    assert time.thread_time() - began < 5


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"#? \nab1~%@", max_size=60).map(str.encode))
def test_no_text_raises_anything_else(text: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        reader.read(text)


@given(VALUES)
def test_json_is_yaml(value: object) -> None:
    text = json.dumps(value)
    if "Infinity" not in text and "\\ud" not in text:  # neither is JSON
        assert yaml_text.loads(text.encode(), deepest=100) == json.loads(text)


@given(NODES, st.sampled_from(["3.0.3", "3.1.0"]), st.sampled_from(["get", "post"]))
def test_no_operation_raises_anything_else(node: object, version: str, method: str) -> None:
    root = {**document("/a", version=version), "paths": {"/a": {method: node}}, "components": {"schemas": {"A": node}}}
    text = json.dumps(root)
    try:
        found = reader.read(text.encode())
    except DocumentMalformed:
        assert "Infinity" in text or "\\ud" in text or "\\u0000" in text
    else:
        assert len(found.tools) + len(found.refused) == 1


@given(NODES, st.sampled_from(["parameters", "requestBody", "responses", "servers", "summary"]))
def test_no_part_of_an_operation_raises_anything_else(node: object, part: str) -> None:
    text = json.dumps(document("/a", "post", version="3.1.0", **{part: node}))
    try:
        found = reader.read(text.encode())
    except DocumentMalformed:
        assert "Infinity" in text or "\\ud" in text or "\\u0000" in text
    else:
        assert len(found.tools) + len(found.refused) == 1


def test_what_cannot_be_seen_is_written_out_in_refusals() -> None:
    root = document("/a", operationId="ev\u202eil", parameters=[{"name": "q\u200b", "in": "query", "schema": {}}])
    (refused,) = reader.read(json.dumps(root).encode()).refused
    assert (refused.why, refused.operation_id, refused.about) == (Why.NAME, "ev\\u{202e}il", "q\\u{200b}")


def test_of_a_text_that_many_operations_are_refused_for_only_what_is_shown_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = {"parameters": [{"$ref": "#/" + "x" * 9_000}], "get": {"operationId": "x" * 9_000}}
    root = {**document(), "info": {"title": "x" * 9_000}, "paths": {"/a": {"$ref": "#/x"}}, "x": item}
    read: list[str] = []

    def visible(text: str) -> str:
        read.append(text)
        return text

    monkeypatch.setattr("entitlements.definitions.impressions.visible", visible)
    assert [each.why for each in reader.read(json.dumps(root).encode()).refused] == [Why.REFERENCE_LOST]
    assert max(map(len, read)) == 200
