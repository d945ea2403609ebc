"""A real local server of the official SDK speaks of its own accord, through one node and through two."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import mcp.types as mcp
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.definition_watch.models import DefinitionWatch
from entitlements.definitions import offers
from entitlements.definitions.primitives import Primitive
from entitlements.grants import grants
from entitlements.stdio.models import StdioChild
from entitlements.stdio_commands import terms
from entitlements.stdio_commands.models import StdioSystem
from tests import make, waits
from tests.entitlements.stdio import packages, processes
from tests.nodes.gateway import world
from tests.nodes.gateway.conversation.desk import LegacyClient, asks
from tests.nodes.gateway.conversation.test_everywhere import Everywhere
from tests.nodes.gateway.conversation.test_listening import UPDATED, subscribed
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World

ANY: dict[str, Any] = {"type": "object"}
ONE, TWO = "note://one", "note://two"
TOOLS = ("elicit", "sample", "roots", "work", "change", "retool")


@pytest.fixture(scope="module")
def nodes(alone: None) -> Iterator[list[Gateway]]:  # noqa: ARG001 - none but these run
    with world.gateway("node-1") as first, world.gateway("node-2") as second:
        yield [first, second]


@pytest.fixture(scope="module")
def here(nodes: list[Gateway]) -> Iterator[World]:
    """Make a world behind the server; its child is at the first node. Its other scopes are `all_scopes`."""
    with packages.asking() as folder:
        argv = [packages.PYTHON, "-I", "{package}/server.py"]
        agreed = terms.whole(packages.agreed(folder, argv=argv))
        made = world.build("http://localhost:1/none", tool="change", schema=ANY)
        System.objects.filter(pk=made.system.pk).update(kind="stdio", upstream_url="stdio:asking")
        StdioSystem.objects.create(system=made.system, command="asking", arguments=[], terms=agreed)
        rows = [make.tool(made.system, name, definition=definition(name)) for name in TOOLS if name != "change"]
        listed = [
            (Primitive.RESOURCE, f"resources/{ONE}", {"uri": ONE, "name": "one"}),
            (Primitive.PROMPT, "prompts/greet", {"name": "greet", "arguments": [{"name": "name"}]}),
        ]
        for kind, name, raw in listed:
            checked = offers.check(offers.listed(kind, raw, completes=True))
            rows.append(make.tool(made.system, name, definition=checked))
        make.tool(made.system, f"resources/{TWO}",
                  definition=offers.check(offers.listed(Primitive.RESOURCE, {"uri": TWO, "name": "two"})))  # fmt: skip
        more = make.entitlement(made.system, *rows, scope=f"{made.entitlement.scope}2")
        make.grant(made.agent, more, people=[made.person])
        client = Local(nodes[0], made)
        assert "result" in client.call("change", uri="note://none")
        assert StdioChild.objects.get(system=made.system).node == "node-1"
        yield made


def definition(name: str) -> dict[str, Any]:
    return {"name": name, "description": name, "inputSchema": ANY}


def all_scopes(here: World) -> str:
    scope = here.entitlement.scope
    return f"{scope} {scope}2 {scope}3"


class Local(LegacyClient):
    """A client of 2025 that calls the server's tools."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.token = self.here.token(scope=all_scopes(self.here))

    def call(self, name: str, **arguments: object) -> dict[str, Any]:
        found: dict[str, Any] = self.post(asks("tools/call", 9, name=name, arguments=arguments)).json()
        return found

    def watched(self) -> str:
        """Return what the child is subscribed to and its levels."""
        return text(self.call("change", uri="note://none"))

    @contextlib.contextmanager
    def under_way(self, name: str, **params: object) -> Iterator[Iterator[dict[str, Any]]]:
        with self._streaming("POST", json=asks("tools/call", 8, name=name, arguments={}, **params)) as messages:
            yield messages


def text(answer: dict[str, Any]) -> str:
    found: str = answer["result"]["content"][0]["text"]
    return found


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("at", [0, 1], ids=["at the child's node", "at another node"])
def test_an_official_client_answers_what_the_server_asks_and_hears_its_progress_and_log(
    nodes: list[Gateway], here: World, at: int, mode: str
) -> None:
    before = len(here.events())
    heard: list[Any] = []

    async def elicited(context: Any, params: Any) -> mcp.ElicitResult:  # noqa: ANN401, ARG001 - as the SDK calls it
        heard.append(params.message)
        return mcp.ElicitResult(action="accept", content={"name": "ada"})

    async def sampled(context: Any, params: Any) -> mcp.CreateMessageResult:  # noqa: ANN401, ARG001 - as above
        return mcp.CreateMessageResult(role="assistant", content=mcp.TextContent(type="text", text="much"), model="m")

    async def rooted(context: Any) -> mcp.ListRootsResult:  # noqa: ANN401, ARG001 - as above
        return mcp.ListRootsResult(roots=[mcp.Root.model_validate({"uri": "file:///work"})])

    async def logged(params: Any) -> None:  # noqa: ANN401
        heard.append(params.data)

    async def progressed(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - as above
        heard.append((progress, message))

    headers = {"Authorization": f"Bearer {here.token(scope=all_scopes(here))}"}

    async def story() -> list[str]:
        address = f"{nodes[at].base}/gw/{here.system.slug}/mcp"
        async with (
            httpx2.AsyncClient(headers=headers, timeout=waits.SECONDS) as http,
            Client(
                streamable_http_client(address, http_client=http), mode=mode, elicitation_callback=elicited,
                sampling_callback=sampled, list_roots_callback=rooted, logging_callback=logged,
            ) as client,
        ):  # fmt: skip
            called = [await client.call_tool(name, {}, progress_callback=progressed) for name in TOOLS[:4]]
            return [str(each.model_dump()["content"][0]["text"]) for each in called]

    assert asyncio.run(story()) == ["ada", "much", "file:///work", "done"]
    assert heard[0] == "Who are you?"
    assert set(heard[1:]) == {(1.0, "half"), *(["a word in the log"] if mode == "legacy" else [])}
    asked = [event for event in here.events()[before:] if event.action == "client.asked"]
    assert {event.detail["method"] for event in asked} == {"elicitation/create", "sampling/createMessage", "roots/list"}
    assert {event.outcome for event in asked} == {"success"}


@pytest.mark.parametrize(("call_at", "answer_at"), [(0, 1), (1, 0)])
def test_the_answer_finds_the_child_by_whichever_node_it_comes_and_once(
    nodes: list[Gateway], here: World, call_at: int, answer_at: int
) -> None:
    client = Local(nodes[call_at], here)
    other = replace(client, node=nodes[answer_at])
    stranger = Local(nodes[answer_at], here)
    other.session, other.token = client.session, client.token
    with client.under_way("elicit") as messages:
        question = next(messages)
        assert error(stranger.answer(question))["code"] == -32600
        accepted = {"action": "accept", "content": {"name": "ada"}}
        assert other.answer(question, result=accepted).status_code == 202
        assert text(next(messages)) == "ada"
        again = other.answer(question, result=accepted)
    assert (again.status_code, error(again)["code"]) == (400, -32600)


def test_what_the_client_does_not_offer_is_refused_in_its_stead_and_recorded(nodes: list[Gateway], here: World) -> None:
    before = len(here.events())
    client = Local(nodes[1], here, offers={"sampling": {}})
    with client.under_way("elicit") as messages:
        last = next(messages)
        assert "method" not in last, "it hears of no question"
    asked = [event for event in here.events()[before:] if event.action == "client.asked"]
    assert [(event.detail["method"], event.outcome) for event in asked] == [("elicitation/create", "refused")]


@pytest.mark.parametrize("at", [0, 1], ids=["at the child's node", "at another node"])
def test_resources_prompts_completion_and_levels_work(nodes: list[Gateway], here: World, at: int) -> None:
    client = Local(nodes[at], here)
    read = client.post(asks("resources/read", 2, uri=ONE)).json()
    assert read["result"]["contents"][0]["text"] == "the first note"
    assert "error" in client.post(asks("resources/read", 2, uri=TWO)).json()
    prompt = client.post(asks("prompts/get", 3, name="greet", arguments={"name": "ada"})).json()
    assert prompt["result"]["messages"][0]["content"]["text"] == "Greet ada."
    ref, argument = {"type": "ref/prompt", "name": "greet"}, {"name": "name", "value": "a"}
    completed = client.post(asks("completion/complete", 4, ref=ref, argument=argument)).json()
    assert completed["result"]["completion"]["values"] == ["ada", "alan"]
    level = ("error", "alert")[at]
    assert client.post(asks("logging/setLevel", 5, level=level)).json()["result"] == {}
    assert level in client.watched()


def test_a_session_hears_of_what_it_subscribed_to_and_the_child_when_the_last_one_leaves(
    nodes: list[Gateway], here: World
) -> None:
    first, second = Local(nodes[0], here), Local(nodes[1], here)
    assert second.post(asks("resources/subscribe", 2, uri=ONE)).json()["result"] == {}
    assert "error" in second.post(asks("resources/subscribe", 2, uri=TWO)).json()
    with first.listening() as of_first, second.listening() as of_second:
        waits.until(lambda: is_heard(second, of_second))
        first.call("change", uri=ONE)
        assert [next(of_second)["method"] for _ in range(2)] == [UPDATED, "notifications/resources/list_changed"]
        assert next(of_first)["method"] == "notifications/resources/list_changed", "it subscribed to nothing"
    assert ONE in first.watched()
    assert second.post(asks("resources/unsubscribe", 3, uri=ONE)).json()["result"] == {}
    assert ONE not in first.watched()
    second.post(asks("resources/subscribe", 2, uri=ONE))
    headers = {**second.headers, "Authorization": f"Bearer {second.token}"}
    assert httpx2.delete(f"{nodes[1].base}/gw/{here.system.slug}/mcp", headers=headers).status_code == 200
    waits.until(lambda: ONE not in first.watched())


def is_heard(client: Local, stream: Iterator[dict[str, Any]]) -> bool:
    """Let the server say something, and see whether the stream has it."""
    client.watched()
    return bool(next(stream)["method"] == "notifications/resources/list_changed")


def test_a_server_that_says_that_its_tools_changed_is_compared_at_once(nodes: list[Gateway], here: World) -> None:
    assert text(Local(nodes[1], here).call("retool")) == "said"
    asked = DefinitionWatch.objects.filter(system=here.system, asked_at__isnull=False)
    waits.until(asked.exists)


def test_a_stateless_client_hears_of_a_local_server_and_its_subscription_ends_with_its_stream(
    nodes: list[Gateway], here: World
) -> None:
    client = Local(nodes[0], here)
    with subscribed(nodes[1], here, resourceSubscriptions=[ONE, TWO], resourcesListChanged=True) as messages:
        assert next(messages)["params"]["notifications"] == {
            "resourceSubscriptions": [ONE], "resourcesListChanged": True
        }  # fmt: skip
        waits.until(lambda: ONE in client.watched())
        client.call("change", uri=ONE)
        heard = next(message for message in messages if message["method"] == UPDATED)
        assert heard["params"]["uri"] == ONE
    waits.until(lambda: ONE not in client.watched())


def test_at_the_address_of_all_systems_a_local_server_asks_and_tells_too(nodes: list[Gateway], here: World) -> None:
    client = Everywhere(nodes[1], here)
    called = asks("tools/call", 8, name=f"{here.system.slug}__elicit", arguments={})
    with client._streaming("POST", json=called) as messages:
        question = next(messages)
        assert client.answer(question, result={"action": "decline"}).status_code == 202
        assert text(next(messages)) == "decline"
    assert client.post(asks("resources/subscribe", 2, uri=ONE)).json()["result"] == {}
    local = Local(nodes[0], here)
    with client.listening() as stream:
        waits.until(lambda: is_heard(local, stream))
        local.call("change", uri=ONE)
        assert next(message for message in stream if message["method"] == UPDATED)["params"]["uri"] == ONE
    assert client.post(asks("resources/unsubscribe", 2, uri=ONE)).json()["result"] == {}


def test_when_the_rights_end_the_child_and_every_stream_do(nodes: list[Gateway], here: World) -> None:
    client = Local(nodes[1], here)
    child = StdioChild.objects.get(system=here.system)
    with client.listening() as messages, client.under_way("elicit") as of_call:
        question = next(of_call)
        for grant in here.agent.grants.filter(ended_at=None):
            grants.revoke(grant.pk, by=SYSTEM, reason="over")
        last = str(next(of_call))
        assert "withdrawn" in last or "upstream_unavailable" in last, "whichever node is first"
        assert client.answer(question).status_code in (403, 404)
        assert [each for each in messages if "id" in each] == []
    waits.until(lambda: not StdioChild.objects.filter(pk=child.pk).exists())
    assert processes.having("KIND=test") == []
