"""Tasks of 2025 behind a node: the example server of the TypeScript SDK, unmodified, and the client's own session."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.grants import grants
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioSystem
from tests import make, waits
from tests.conformance import nodejs
from tests.entitlements.stdio import packages as packages_of_stdio
from tests.nodes.gateway import world
from tests.nodes.gateway.call_tasks import desk
from tests.nodes.gateway.conversation import talker
from tests.nodes.gateway.conversation.desk import LegacyClient, asks, tells, world_of
from tests.nodes.gateway.primitives import desk as rows
from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.usefixtures("packages")
packages = nodejs.packages
LONG = 600_000
RELATED = "io.modelcontextprotocol/related-task"


@pytest.fixture
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def batch(node: Gateway, packages: None) -> Iterator[System]:  # noqa: ARG001 - the node must run
    with desk.example("simpleStreamableHttp.js") as url:
        yield rows.discovered(url)


@pytest.fixture
def here(batch: System) -> World:
    return rows.granted(batch, "delay", "greet")


@pytest.fixture
def client(node: Gateway, here: World) -> LegacyClient:
    return LegacyClient(node, here)


def result(client: LegacyClient, method: str, **params: object) -> dict[str, Any]:
    body = client.post(asks(method, 5, **params)).json()
    assert "result" in body, body
    return dict(body["result"])


def error(client: LegacyClient, method: str, **params: object) -> tuple[int, str]:
    found = client.post(asks(method, 5, **params)).json()["error"]
    return found["code"], found["data"]["code"]


def begun(client: LegacyClient, milliseconds: int = LONG) -> dict[str, Any]:
    """Call the tool that waits as a task, and return the task."""
    called = result(client, "tools/call", name="delay", arguments={"duration": milliseconds}, task={"ttl": 60_000})
    return dict(called["task"])


def test_a_task_is_asked_about_and_its_result_fetched_by_the_id_that_its_client_knows(
    client: LegacyClient, here: World
) -> None:
    task = begun(client, 300)
    name = task["taskId"]
    assert (len(name) > 100, task["status"], task["ttl"]) == (True, "working", 60_000)
    assert result(client, "tasks/get", taskId=name)["taskId"] == name
    fetched = result(client, "tasks/result", taskId=name)
    assert fetched["content"] == [{"type": "text", "text": "Completed 300ms delay"}]
    assert fetched["_meta"][RELATED] == {"taskId": name}
    assert result(client, "tasks/get", taskId=name)["status"] == "completed"
    methods = [event.detail["method"] for event in here.events() if event.action == "call.allowed"]
    assert methods == ["tools/call", "tasks/get", "tasks/result", "tasks/get"]


def test_a_session_lists_its_own_tasks_and_opens_no_other(client: LegacyClient, here: World, node: Gateway) -> None:
    names = [begun(client)["taskId"] for _ in range(2)]
    assert [task["taskId"] for task in result(client, "tasks/list")["tasks"]] == names
    other = LegacyClient(node, here)
    assert result(other, "tasks/list")["tasks"] == []
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        assert error(other, method, taskId=names[0]) == (-32602, "task_unknown")
    assert [event.code for event in here.events() if event.action == "call.denied"] == ["task_unknown"] * 3
    assert error(client, "tasks/list", cursor="x") == (-32602, "malformed_call")


def test_a_task_is_cancelled_by_its_client(client: LegacyClient) -> None:
    name = begun(client)["taskId"]
    ended = result(client, "tasks/cancel", taskId=name)
    assert (ended["taskId"], ended["status"]) == (name, "cancelled")
    assert client.post(asks("tasks/cancel", taskId=name)).json()["error"]["code"] == -32602


def test_what_becomes_of_a_task_is_heard_on_the_stream_of_the_session(client: LegacyClient) -> None:
    result(client, "tools/call", name="greet", arguments={"name": "x"})
    with client.listening() as messages:
        time.sleep(1)
        name = begun(client, 500)["taskId"]
        heard = next(message for message in messages if message["method"] == "notifications/tasks/status")
    assert (heard["params"]["taskId"], heard["params"]["status"]) == (name, "completed")


def test_what_is_said_of_a_task_of_somebody_else_reaches_no_one(node: Gateway) -> None:
    other, state = {"taskId": "of-another"}, {"status": "completed", "ttl": 1}
    with talker.talking(is_modern=False) as old:
        client = LegacyClient(node, world_of(old))
        said = tells("notifications/tasks/status", **other, **state)
        asked = asks("roots/list", 5, _meta={RELATED: other, "mine": 1})
        with client.calling(said, asked) as messages:
            heard = next(messages)
            assert (heard["method"], heard["params"]) == ("roots/list", {"_meta": {"mine": 1}})
            client.answer(heard, result={"roots": [], "_meta": {RELATED: other}})
            assert "result" in next(messages)
    assert old.answers()[-1]["result"] == {"roots": [], "_meta": {}}


def test_a_tool_that_makes_no_task_cannot_be_asked_for_one(client: LegacyClient) -> None:
    asked = {"name": "greet", "arguments": {"name": "x"}}
    assert error(client, "tools/call", **asked, task={}) == (-32601, "unknown_method")
    assert error(client, "tools/call", name="delay", arguments={}, task={"ttl": "long"}) == (-32602, "malformed_call")
    large = {"duration": 1, "label": secrets.token_hex(8_000)}
    assert error(client, "tools/call", name="delay", arguments=large, task={}) == (-32602, "malformed_call")
    assert result(client, "tools/call", **asked)["content"][0]["text"] == "Hello, x!"


def test_who_loses_the_right_gets_no_result_and_the_task_is_cancelled(
    client: LegacyClient, here: World, batch: System
) -> None:
    rows.granted(batch, "greet", world=here)
    name = begun(client)["taskId"]
    grants.revoke(here.grant.pk, by=SYSTEM, reason="No more.")
    assert "error" in client.post(asks("tasks/get", taskId=name)).json()
    waits.until(lambda: "call.task_cancelled" in here.calls())
    told = next(event for event in here.events() if event.action == "call.task_cancelled")
    assert told.outcome == "success"


def test_a_local_server_has_tasks_of_each_session_at_each_node(node: Gateway, second: Gateway) -> None:
    raw = {"name": "later", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "optional"}}
    with packages_of_stdio.small() as folder:
        agreed = terms.whole(packages_of_stdio.agreed(folder))
        system = make.system(f"local-{secrets.token_hex(4)}", kind="stdio", upstream_url="stdio:small")
        StdioSystem.objects.create(system=system, command="small", arguments=[], terms=agreed)
        here = world.on(make.tool(system, "later", definition=raw))
        client = LegacyClient(node, here)
        name = result(client, "tools/call", name="later", arguments={}, task={})["task"]["taskId"]
        assert name != "the-servers-own"
        assert result(client, "tasks/get", taskId=name)["taskId"] == name
        assert [task["taskId"] for task in result(client, "tasks/list")["tasks"]] == [name]
        assert result(client, "tasks/result", taskId=name)["content"][0]["text"] == "The result of the-servers-own."
        other = LegacyClient(second, here)
        assert result(other, "tasks/list")["tasks"] == []
        elsewhere = replace(client, node=second)
        elsewhere.session, elsewhere.token = client.session, client.token
        assert [task["taskId"] for task in result(elsewhere, "tasks/list")["tasks"]] == [name]
        assert result(elsewhere, "tasks/result", taskId=name)["content"][0]["text"] == (
            "The result of the-servers-own."
        )


def test_each_era_is_offered_what_the_system_has_in_it(client: LegacyClient, node: Gateway, here: World) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    offered = client.post(asks("initialize", 1, **hello)).json()["result"]["capabilities"]
    assert offered["tasks"]["requests"] == {"tools": {"call": {}}}
    listed = {tool["name"]: tool for tool in result(client, "tools/list")["tools"]}
    assert listed["delay"]["execution"] == {"taskSupport": "required"}
    modern = node.modern(here.system.slug, "server/discover", here.token()).json()["result"]["capabilities"]
    assert "tasks" not in modern
    assert "io.modelcontextprotocol/tasks" not in modern["extensions"]
    taken = begun(client)["taskId"]
    asked = desk.ask(node, here, "tasks/get", taskId=taken)
    assert asked.json()["error"]["data"]["code"] == "task_unknown"
