"""Resources, templates, prompts and completion through the gateway: listed when granted, decided and recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from entitlements import addresses
from entitlements.gateway.primitives import lists
from tests.nodes.gateway.primitives import desk
from tests.nodes.gateway.primitives.desk import GREET, NOTES, ORDERS, ask, granted, result

if TYPE_CHECKING:
    from entitlements.catalog.models import System
    from tests.nodes.gateway.world import Gateway, World

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


def test_no_template_opens_what_a_person_stopped_before_it_was_approved(node: Gateway, server: desk.Server) -> None:
    from audit.context import SYSTEM  # noqa: PLC0415
    from entitlements.catalog import discovery, tools  # noqa: PLC0415
    from entitlements.definitions import offers  # noqa: PLC0415
    from entitlements.definitions.primitives import Primitive  # noqa: PLC0415

    system = desk.discovered(server.url)
    here, uri = granted(system, ORDERS), "crm://customers/grace/orders"
    alone = offers.listed(Primitive.RESOURCE, {"uri": uri, "name": "grace"})
    discovery.record_discovery(system, [alone], by=SYSTEM, complete=False)
    assert result(node, here, "resources/read", uri=uri)["contents"]
    tools.disable_tool(system.tools.get(name=f"resources/{uri}"), by=SYSTEM, reason="test")
    assert ask(node, here, "resources/read", uri=uri)["error"]["data"]["code"] == "tool_disabled"


def test_a_system_is_said_to_have_what_it_has(node: Gateway, here: World) -> None:
    from tests.nodes.gateway import world  # noqa: PLC0415

    said = result(node, here, "server/discover")["capabilities"]
    assert {"tools", "resources", "prompts", "completions"} <= said.keys()
    bare = world.build("http://localhost:9/mcp")
    assert not {"resources", "prompts", "completions"} & result(node, bare, "server/discover")["capabilities"].keys()


def test_every_entry_is_on_one_page(node: Gateway) -> None:
    from tests import make  # noqa: PLC0415 - the settings are known only now
    from tests.nodes.gateway import world  # noqa: PLC0415

    made = world.build("http://localhost:9/mcp", tool="tool_000")
    names = [f"tool_{number:03}" for number in range(lists.PAGE + 5)]
    rest = [make.tool(made.system, name) for name in names[1:]]
    more = make.entitlement(made.system, *rest, scope=f"{made.system.slug}:more")
    make.grant(made.agent, more, people=[made.person])

    first = result(node, made, "tools/list")
    second = result(node, made, "tools/list", cursor=first["nextCursor"])
    pages: list[dict[str, Any]] = [first, second]
    assert [tool["name"] for page in pages for tool in page["tools"]] == names
    assert "nextCursor" not in second
    assert [(page["cacheScope"], page["ttlMs"]) for page in pages] == [("private", 5000)] * 2
    assert ask(node, made, "prompts/list", cursor=first["nextCursor"])["error"]["code"] == -32602


@pytest.fixture(scope="module")
def other(node: Gateway, server: desk.Server) -> System:  # noqa: ARG001 - the node must run
    """Register the same server as a second system."""
    return desk.discovered(server.url)


@pytest.fixture(scope="module")
def everywhere(crm: System, other: System) -> World:
    """Grant notes and a prompt at one system, a template and the prompt at the other; the token is for all systems."""
    from entitlements.catalog import systems  # noqa: PLC0415 - the settings are known only now

    every = systems.ensure_all_systems()
    world = granted(other, ORDERS, GREET, world=granted(crm, NOTES, GREET))
    return replace(world, system=every)


def test_what_is_granted_at_each_system_is_listed_and_reached(
    node: Gateway, everywhere: World, crm: System, other: System, server: desk.Server
) -> None:
    listed = {
        method: result(node, everywhere, method)
        for method in ("resources/list", "resources/templates/list", "prompts/list", "server/discover")
    }
    assert [each["uri"] for each in listed["resources/list"]["resources"]] == ["crm://notes"]
    templates = listed["resources/templates/list"]["resourceTemplates"]
    assert [each["uriTemplate"] for each in templates] == ["crm://customers/{id}/orders"]
    names = [each["name"] for each in listed["prompts/list"]["prompts"]]
    assert names == sorted(f"{system.slug}__greet" for system in (crm, other))
    assert {"resources", "prompts", "completions"} <= listed["server/discover"]["capabilities"].keys()

    assert result(node, everywhere, "resources/read", uri="crm://notes")["contents"][0]["text"] == "Call Ada."
    read = result(node, everywhere, "resources/read", uri="crm://customers/ada/orders")
    assert read["contents"][0]["text"] == "Orders of ada."
    for system in (crm, other):
        name = f"{system.slug}__greet"
        assert result(node, everywhere, "prompts/get", name=name, arguments={"customer": "ada"})["messages"]
        argument, ref = {"name": "customer", "value": "gr"}, {"type": "ref/prompt", "name": name}
        completed = result(node, everywhere, "completion/complete", ref=ref, argument=argument)
        assert completed["completion"]["values"] == ["grace"]
        assert everywhere.calls(f"tool:{system.slug}/{GREET}")
    ref = {"type": "ref/resource", "uri": "crm://customers/{id}/orders"}
    completed = result(node, everywhere, "completion/complete", ref=ref, argument={"name": "id", "value": "al"})
    assert completed["completion"]["values"] == ["alan"]
    assert "complete al" in server.seen()


def test_a_resource_of_two_systems_is_neither_listed_nor_read_here(
    node: Gateway, crm: System, other: System, server: desk.Server
) -> None:
    from entitlements.catalog import systems  # noqa: PLC0415 - the settings are known only now

    both = granted(other, NOTES, ORDERS, world=granted(crm, NOTES, ORDERS))
    before, everywhere = server.seen(), replace(both, system=systems.ensure_all_systems())
    assert result(node, everywhere, "resources/list")["resources"] == []
    assert result(node, everywhere, "resources/templates/list")["resourceTemplates"] == []
    body = ask(node, everywhere, "resources/read", uri="crm://notes")
    assert body["error"]["code"] == -32602
    assert body["error"]["data"]["systems"] == sorted([crm.slug, other.slug])
    assert server.seen() == before
    assert everywhere.calls()[-1] == "call.denied"


def test_what_is_nowhere_or_not_granted_is_not_there(node: Gateway, everywhere: World) -> None:
    assert everywhere.system.slug == addresses.ALL
    for uri in ("crm://logo", "crm://elsewhere"):
        assert ask(node, everywhere, "resources/read", uri=uri)["error"]["code"] == -32602
    assert ask(node, everywhere, "prompts/get", name="greet")["error"]["code"] == -32602
