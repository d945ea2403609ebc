"""What a server lists beside its tools, from all pages, where it says that it has any."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from entitlements.upstream import lists
from entitlements.upstream.egress import Unreachable
from entitlements.upstream.lists import PartialList

TOOLS = {"tools": [{"name": "search"}]}
ALL: dict[str, dict[str, Any]] = {
    "tools/list": TOOLS,
    "resources/list": {"resources": [{"uri": "a:b", "name": "b"}], "nextCursor": "2"},
    "resources/list 2": {"resources": [{"uri": "a:c", "name": "c"}]},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "a:{x}", "name": "x"}]},
    "prompts/list": {"prompts": [{"name": "p"}]},
}


def everything(capabilities: Mapping[str, Any], pages: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """List at a server that answers these pages by method and cursor, and every other request with an error."""

    async def ask(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        page = pages.get(f"{method} {params.get('cursor', '')}".strip(), {"error": {"code": -32603}})
        if "error" in page:
            raise Unreachable(error=page["error"])
        return page

    return asyncio.run(lists.everything(ask, capabilities))


def test_what_the_capabilities_name_is_listed_from_all_pages() -> None:
    found = everything({"tools": {}, "resources": {}, "prompts": {}, "completions": {}}, ALL)
    assert [(each.get("primitive", "tool"), each.get("completes", False)) for each in found] == [
        ("tool", False),
        ("resource", True),
        ("resource", True),
        ("resource_template", True),
        ("prompt", True),
    ]


def test_what_the_capabilities_do_not_name_is_not_asked_for() -> None:
    assert everything({}, ALL) == TOOLS["tools"] == everything({"tools": {}}, ALL)
    assert [each["primitive"] for each in everything({"prompts": {}}, ALL)] == ["prompt"]


def test_a_list_that_breaks_off_is_kept_so_far_and_an_unknown_one_is_empty() -> None:
    broken = {key: page for key, page in ALL.items() if key != "resources/list 2"}
    with pytest.raises(PartialList) as raised:
        everything({"tools": {}, "resources": {}}, broken)
    assert raised.value.listed == TOOLS["tools"]
    unknown = {**ALL, "prompts/list": {"error": {"code": -32601}}}
    assert everything({"tools": {}, "prompts": {}}, unknown) == TOOLS["tools"]


def test_more_than_can_be_borne_does_not_hide_the_tools() -> None:
    many = [{"uri": f"a:{number}", "name": "x"} for number in range(lists.MOST_OTHERS + 5)]
    found = everything({"tools": {}, "resources": {}}, {**ALL, "resources/list": {"resources": many}})
    resources = [each for each in found if each.get("primitive") == "resource"]
    assert len(resources) == lists.MOST_OTHERS + 1
    assert resources[-1] == {"primitive": "resource", "most": lists.MOST_OTHERS}
