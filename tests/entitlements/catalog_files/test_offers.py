"""Files of systems and tools: what goes in, what stays out and why, and that no secret is kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.catalog_files import offers
from entitlements.catalog_files.offers import Catalog, Form, Offer, Problem
from entitlements.strict import NotStrictJson

SECRET = "sk-live-4242424242424242"


def read(value: object) -> Catalog:
    return offers.read(json.dumps(value).encode())


def tool(name: str = "get_time", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"name": name, "description": "Gets it.", **fields}


def codes(found: Catalog) -> list[tuple[int, str, bool]]:
    return [(problem.row, problem.code, problem.refused) for problem in found.problems]


@pytest.mark.parametrize(
    "value",
    [
        [{"slug": "time", "title": "Time", "tools": [tool()]}],
        [{"package": "Time", "title": "Time", "tools": [tool()]}],
        {"systems": [{"name": "time", "title": "Time", "tools": [tool()]}]},
        {"name": "time", "title": "Time", "tools": [tool()]},
    ],
)
def test_a_list_of_systems_is_read_in_each_of_its_shapes(value: object) -> None:
    (offer,) = read(value).offers

    assert (offer.slug, offer.name, offer.address) == ("time", "Time", "")
    assert [raw["inputSchema"] for _, raw in offer.tools] == [{"type": "object"}]


def test_one_system_a_line_is_judged_line_by_line() -> None:
    found = offers.read(b'{"name": "a", "tools": []}\n{"name": "b", oops\n\n{"name": "c"}\n')

    assert (found.form, [offer.slug for offer in found.offers]) == (Form.LINES, ["a", "c"])
    assert codes(found) == [(2, "row_not_json", True)]


def test_a_definition_that_is_whole_stays_as_it_came_and_named_arguments_become_a_schema() -> None:
    whole = tool("a", inputSchema={"type": "object", "properties": {}}, _meta={"x": 1})
    named = tool(
        "b",
        arguments=[{"name": "zone", "type": "string", "desc": "Where."}, {"name": "n", "optional": True}, "odd"],
    )

    (offer,) = read([{"name": "time", "tools": [whole, named]}]).offers

    assert offer.tools[0][1] == whole
    assert offer.tools[1][1] == tool(
        "b",
        inputSchema={
            "type": "object",
            "properties": {"zone": {"type": "string", "description": "Where."}, "n": {}},
            "required": ["zone"],
        },
    )


@pytest.mark.parametrize(
    "value",
    [
        {"mcpServers": {"git hub": {"url": "https://mcp.example/x", "headers": {"Authorization": SECRET}}}},
        {"servers": {"git hub": {"type": "http", "url": "https://mcp.example/x", "headers": {"K": SECRET}}}},
        {"mcp": {"servers": {"git hub": {"url": f"https://mcp.example/x?key={SECRET}"}}}, "editor.fontSize": 12},
        {"mcpServers": {"git hub": {"serverUrl": f"https://me:{SECRET}@mcp.example/x#frag", "env": {"A": SECRET}}}},
    ],
)
def test_a_client_configuration_gives_systems_and_none_of_its_secrets(value: object) -> None:
    found = read(value)

    assert found.form is Form.CLIENT
    assert found.offers == [Offer(1, "git-hub", "git hub", "https://mcp.example/x")]
    assert {problem.code for problem in found.problems} == {"secrets_dropped"}
    assert SECRET not in repr(found)


def test_a_local_server_is_known_without_address_and_its_command_and_environment_are_left_out() -> None:
    value = {"mcpServers": {"fs": {"command": "npx", "args": ["-y", "fs", "--token", SECRET], "env": {"T": SECRET}}}}

    found = read(value)

    assert found.offers == [Offer(1, "fs", "fs", "")]
    assert found.problems == [
        Problem(1, "fs", "", "secrets_dropped", "Left out, since secrets may be in them: env, args.", refused=False)
    ]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://mcp.example/", "address_unusable"),
        ("https://", "address_unusable"),
        ("https://mcp.example:99999/", "address_unusable"),
        ("https://mcp.example/a b", "address_unusable"),
        ("https://mcp.ex\u0430mple/", "address_unusable"),
        ("https://${host}/mcp", "address_unusable"),
        ("javascript:alert(1)", "address_unusable"),
        ("https://mcp.example/" + "a/" * 300, "address_unusable"),
        (f"https://mcp.example/s/{SECRET}/mcp", "secrets_dropped"),
    ],
)
def test_an_address_that_cannot_be_used_is_left_out_and_said(address: str, code: str) -> None:
    found = read([{"name": "a", "url": address}])

    assert [offer.address for offer in found.offers] == [""]
    assert codes(found) == [(1, code, False)]
    assert SECRET not in repr(found)


def test_comments_and_last_commas_are_read_as_editors_write_them() -> None:
    text = b'{ // mine\n "servers": { /* "x": {} */ "a//b": {"url": "https://mcp.example/",}, }, /* open'

    with pytest.raises(NotStrictJson):
        offers.read(text)
    assert [offer.slug for offer in offers.read(text.replace(b", /* open", b"} /* open")).offers] == ["a-b"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("time", "row_malformed"),
        ({"tools": []}, "system_name_unusable"),
        ({"name": "***"}, "system_name_unusable"),
        ({"name": "ok", "tools": "many"}, "row_malformed"),
        ({"name": "ok", "tools": [tool("a b")]}, "definition_malformed"),
        ({"name": "ok", "tools": ["a"]}, "definition_malformed"),
        ({"name": "ok", "tools": [tool(inputSchema={"$ref": "https://elsewhere.example/"})]}, "definition_malformed"),
        ({"name": "ok", "tools": [tool(description="a\0b")]}, "text_unusable"),
        ({"name": "ok", "tools": [tool(), tool()]}, "tool_twice"),
        ({"name": "good"}, "system_twice"),
        ({"name": "ok", "tools": [{}] * 2001}, "too_many_tools"),
    ],
)
def test_a_bad_row_is_refused_with_its_code_and_good_ones_go_in(row: object, code: str) -> None:
    found = read([{"name": "good", "tools": [tool()]}, row])

    assert codes(found) == [(2, code, True)]
    assert found.offers[0].slug == "good"


def test_two_names_that_come_out_the_same_are_two_systems_each_time() -> None:
    rows = [{"name": "@a/b"}, {"name": "a-b"}, {"name": "x" * 100}]

    slugs = [offer.slug for offer in read(rows).offers]

    assert slugs == [offer.slug for offer in read(rows).offers]
    assert len(set(slugs)) == 3
    assert slugs[0] == "a-b"
    assert all(len(slug) <= 63 for slug in slugs)


@pytest.mark.parametrize("value", [{}, 1, "x", {"mcpServers": []}, {"editor.fontSize": 12}])
def test_anything_else_is_no_catalogue(value: object) -> None:
    with pytest.raises(offers.NotACatalog):
        read(value)


def test_more_than_one_import_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(offers.TooMuch):
        offers.read(b" " * (offers.LARGEST + 1))
    monkeypatch.setattr(offers, "MOST_SYSTEMS", 1)
    with pytest.raises(offers.TooMuch):
        read([{"name": "a"}, {"name": "b"}])
    monkeypatch.setattr(offers, "MOST_TOOLS", 1)
    with pytest.raises(offers.TooMuch):
        read([{"name": "a", "tools": [tool("a"), tool("b")]}])


def test_what_hides_in_a_name_is_made_visible() -> None:
    found = read([{"name": "a", "title": "Pay\u202elap"}, {"name": "\u202e"}])

    assert found.offers[0].name == "Pay\\u{202e}lap"
    assert found.problems[0].as_json()["system"] == "\\u{202e}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text() | st.sampled_from(["name", "tools", "url", "mcpServers", "servers", "arguments", "inputSchema"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON | st.lists(st.fixed_dictionaries({"name": st.text(), "tools": st.lists(JSON, max_size=3), "url": JSON})))
def test_whatever_a_file_holds_it_is_read_or_refused(value: object) -> None:
    try:
        found = read(value)
    except (offers.NotACatalog, NotStrictJson):
        return
    assert all(problem.as_json()["code"] for problem in found.problems)
    assert len({offer.slug for offer in found.offers}) == len(found.offers)


@given(st.binary())
def test_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found = offers.read(content)
    except (offers.NotACatalog, NotStrictJson):
        return
    assert isinstance(found, Catalog)
