"""Resources, templates, prompts and completion through the gateway: listed when granted, decided and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.entitlements.gateway.primitives import desk
from tests.entitlements.gateway.primitives.desk import GREET, NOTES, ORDERS, ask, granted, result

if TYPE_CHECKING:
    from entitlements.catalog.models import System
    from tests.entitlements.gateway.world import Gateway, World

pytestmark = pytest.mark.loopback
ONLY_ADA = {ORDERS: {"id": {"one_of": ["ada"]}}, GREET: {"customer": {"one_of": ["ada"]}}}
PROMPT, TEMPLATE = {"type": "ref/prompt", "name": "greet"}, {"type": "ref/resource", "uri": desk.uri(ORDERS)}


@pytest.fixture(scope="module")
def here(crm: System) -> World:
    """Grant one resource, one template and one prompt, the latter two for one customer."""
    return granted(crm, NOTES, ORDERS, GREET, limits=ONLY_ADA)


def test_each_list_shows_what_is_granted_and_may_be_kept_by_its_caller_alone(node: Gateway, here: World) -> None:
    notes, orders = result(node, here, "resources/list"), result(node, here, "resources/templates/list")
    prompts, tools = result(node, here, "prompts/list"), result(node, here, "tools/list")

    assert notes["resources"] == [
        {"uri": "crm://notes", "name": "notes", "description": "All notes.", "mimeType": "text/plain"}
    ]
    assert [each["uriTemplate"] for each in orders["resourceTemplates"]] == ["crm://customers/{id}/orders"]
    assert [each["name"] for each in prompts["prompts"]] == ["greet"]
    assert [argument["name"] for argument in prompts["prompts"][0]["arguments"]] == ["customer", "tone"]
    assert [each["name"] for each in tools["tools"]] == ["request_access"]
    for listed in (notes, orders, prompts):
        assert (listed["cacheScope"], listed["ttlMs"], listed["resultType"]) == ("private", 5000, "complete")


def test_what_is_granted_is_read_and_recorded(node: Gateway, here: World, server: desk.Server) -> None:
    read = result(node, here, "resources/read", uri="crm://notes")
    assert [content["text"] for content in read["contents"]] == ["Call Ada."]
    assert (read["cacheScope"], read["resultType"]) == ("private", "complete")
    orders = result(node, here, "resources/read", uri="crm://customers/ada/orders")
    assert orders["contents"][0]["text"] == "Orders of ada."
    greeted = result(node, here, "prompts/get", name="greet", arguments={"customer": "ada"})
    assert greeted["messages"][0]["content"]["text"] == "Write to ada in a kind tone."

    assert server.seen()[-3:] == ["crm://notes", "orders of ada", "greet ada"]
    for name in (NOTES, ORDERS, GREET):
        assert here.calls(f"tool:{here.system.slug}/{name}")[:1] == ["call.allowed"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "crm://customers/grace/orders"}),
        ("prompts/get", {"name": "greet", "arguments": {"customer": "grace"}}),
        ("prompts/get", {"name": "greet"}),
        ("completion/complete", {"ref": PROMPT, "argument": {"name": "customer", "value": "gr"}}),
        ("completion/complete", {"ref": TEMPLATE, "argument": {"name": "id", "value": "gr"}}),
    ],
)
def test_arguments_outside_the_limits_are_denied_with_a_link_and_never_sent(
    node: Gateway, here: World, server: desk.Server, method: str, params: dict[str, Any]
) -> None:
    before = server.seen()
    body = ask(node, here, method, **params)
    assert (body["error"]["code"], body["error"]["data"]["code"]) == (-32001, "argument_outside_limit")
    assert "/requests/new/?" in body["error"]["data"]["request_access"]
    assert server.seen() == before
    assert here.calls()[-1] == "call.denied"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "crm://logo"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "x", "value": ""}},
        ),
        ("tools/call", {"name": "add", "arguments": {"number": 1}}),
    ],
)
def test_what_is_not_granted_is_denied(
    node: Gateway, crm: System, server: desk.Server, method: str, params: dict[str, Any]
) -> None:
    only_notes, before = granted(crm, NOTES), server.seen()
    body = ask(node, only_notes, method, **params)
    said = body["error"]["data"] if "error" in body else body["result"]["_meta"]["mandate/denial"]
    assert said["code"] == "no_grant"
    assert server.seen() == before


def test_what_is_not_there_is_an_error_that_names_it(node: Gateway, here: World) -> None:
    body = ask(node, here, "resources/read", uri="crm://elsewhere")
    assert (body["status"], body["error"]["code"]) == (400, -32602)
    assert body["error"]["data"]["uri"] == "crm://elsewhere"
    assert ask(node, here, "prompts/get", name="other")["error"]["code"] == -32602
    assert here.calls()[-1] == "call.denied"


@pytest.mark.parametrize("name", [NOTES, GREET, "tools/add"])
def test_nothing_but_a_tool_is_called_as_one(node: Gateway, here: World, server: desk.Server, name: str) -> None:
    before = server.seen()
    body = ask(node, here, "tools/call", name=name, arguments={"customer": "ada", "uri": "crm://notes"})
    assert body["result"]["_meta"]["mandate/denial"]["code"] == "unknown_tool"
    assert server.seen() == before


@pytest.mark.parametrize("named", ["crm://logo", None])
def test_a_header_that_names_another_uri_is_refused(node: Gateway, here: World, named: str | None) -> None:
    headers = {} if named is None else {"Mcp-Name": named}
    answer = node.modern(here.system.slug, "resources/read", here.token(), headers=headers, uri="crm://notes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


def test_a_completion_is_decided_by_what_it_refers_to(node: Gateway, here: World, server: desk.Server) -> None:
    for ref, name in ((PROMPT, "customer"), (TEMPLATE, "id")):
        argument = {"name": name, "value": "ada"}
        completed = result(node, here, "completion/complete", ref=ref, argument=argument)
        assert completed["completion"]["values"] == ["ada"]
        assert server.seen()[-1] == "complete ada"


def test_an_error_of_the_system_is_the_clients(node: Gateway, crm: System) -> None:
    body = ask(node, granted(crm, "resources/crm://broken"), "resources/read", uri="crm://broken")
    assert body["error"]["code"] < 0
    assert "data" not in body["error"] or "code" not in (body["error"]["data"] or {})


def test_what_a_person_stops_is_neither_listed_nor_read(node: Gateway, server: desk.Server) -> None:
    from audit.context import SYSTEM  # noqa: PLC0415
    from entitlements.catalog import tools  # noqa: PLC0415

    system = desk.discovered(server.url)
    here = granted(system, NOTES, ORDERS)
    tools.disable_tool(system.tools.get(name=NOTES), by=SYSTEM, reason="test")
    assert result(node, here, "resources/list")["resources"] == []
    assert ask(node, here, "resources/read", uri="crm://notes")["error"]["data"]["code"] == "tool_disabled"
    assert result(node, here, "resources/read", uri="crm://customers/ada/orders")["contents"]


def test_a_system_is_said_to_have_what_it_has(node: Gateway, here: World) -> None:
    from tests.entitlements.gateway import world  # noqa: PLC0415

    said = result(node, here, "server/discover")["capabilities"]
    assert {"tools", "resources", "prompts", "completions"} <= said.keys()
    bare = world.build("http://localhost:9/mcp")
    assert not {"resources", "prompts", "completions"} & result(node, bare, "server/discover")["capabilities"].keys()
