"""Header values, events and mirrored arguments of MCP, against the official SDK where it has the same function."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared import inbound

from entitlements.upstream import mcp_headers, sse

SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "x-mcp-header": "A"},
        "o": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
    },
}


@given(st.text())
def test_a_header_value_comes_back_as_it_was_and_as_the_sdk_writes_it(text: str) -> None:
    encoded = mcp_headers.encode(text)

    assert encoded == inbound.encode_header_value(text)
    assert mcp_headers.decode(encoded) == text == inbound.decode_header_value(encoded)


@pytest.mark.parametrize("value", ["=?base64?QQ?=", "=?base64?QR==?=", "=?base64?/w==?=", "=?base64?a b?="])
def test_a_damaged_wrapping_equals_nothing(value: str) -> None:
    assert mcp_headers.decode(value) is None is inbound.decode_header_value(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 1}}},
        {"x-mcp-header": "A", "type": "string"},
        {"items": {"type": "string", "x-mcp-header": "A"}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}}},
    ],
)
def test_gw_4_a_schema_with_a_bad_annotation_is_told_apart(schema: dict[str, Any]) -> None:
    assert mcp_headers.annotated(schema) is None
    assert inbound.find_invalid_x_mcp_header(schema) is not None


def test_mirrored_arguments_are_found_and_compared() -> None:
    wanted = mcp_headers.annotated(SCHEMA)

    assert wanted == {"a": ("a",), "n": ("o", "n")}
    arguments = {"a": "x", "o": {"n": 5}}
    assert mcp_headers.contradicting(arguments, wanted, [("mcp-param-a", "x"), ("mcp-param-n", "5")]) is None
    assert mcp_headers.contradicting(arguments, wanted, [("mcp-param-a", "x"), ("mcp-param-n", "6")]) == "mcp-param-n"
    assert mcp_headers.contradicting(arguments, wanted, [("mcp-param-a", "x")]) == "mcp-param-n"
    assert mcp_headers.contradicting({"a": "x"}, wanted, [("mcp-param-a", "x"), ("mcp-param-z", "1")]) is None
    assert mcp_headers.contradicting({}, wanted, [("mcp-param-a", "x")]) == "mcp-param-a"
    twice = [("mcp-param-a", "x"), ("mcp-param-a", "x")]
    assert mcp_headers.contradicting({"a": "x"}, wanted, twice) == "mcp-param-a"


@given(st.lists(st.integers(1, 7)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int], end: str) -> None:
    lines = [": note", "event: message", 'data: {"a":1}', "", "id: 1", "data: one", "data:two", "", "data: unfinished"]
    stream = (end.join(lines) + end).encode()
    reader, found = sse.Reader(1000), list[bytes]()
    for cut in [*cuts, len(stream)]:
        found += reader.feed(stream[:cut])
        stream = stream[cut:]

    assert found == [b'{"a":1}', b"one\ntwo"]


@given(st.lists(st.integers(1, 7)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_last_id_is_that_of_a_whole_event_and_the_wait_is_bounded(cuts: list[int], end: str) -> None:
    lines = ["id: first", "retry: 99999999999", "data:", "", "id:\u00e9", "data: x", "", "retry: soon", "retry: 250",
             "id: second", "", "data: y", "", "id: unfinished", "data: z"]  # fmt: skip
    stream = (end.join(lines) + end).encode()
    reader = sse.Reader(1000)
    seen: list[str | None] = [reader.last_id]
    for cut in [*cuts, len(stream)]:
        reader.feed(stream[:cut])
        stream = stream[cut:]
        seen += [reader.last_id] if reader.last_id != seen[-1] else []

    assert seen[-1] == "second"
    assert set(seen) <= {None, "first", "", "second"}
    assert reader.again == 0.25


@pytest.mark.parametrize("value", ["x" * 1025, "a\x00b", "a\tb", "\u00e9"])
def test_an_id_that_no_header_holds_is_not_asked_for(value: str) -> None:
    reader = sse.Reader(10_000)
    reader.feed(f"id: 1\ndata: a\n\nid: {value}\ndata: b\n\n".encode())

    assert reader.last_id == ""


def test_an_event_without_end_is_given_up() -> None:
    reader = sse.Reader(1000)

    for _ in range(18):
        reader.feed(b"data: " + b"x" * 50)

    with pytest.raises(sse.TooLarge):
        reader.feed(b"x")
