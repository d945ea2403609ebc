"""The official client of 2025 at a server of 2026 alone, which asks it for input: through one node, and through two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent
from pytest_django import DjangoDbBlocker

from scripts.devservers import free_port
from tests import databases, envoy, waits
from tests.conformance import servers
from tests.nodes.gateway.conversation.desk import LegacyClient
from tests.nodes.gateway.primitives import desk

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

NAMES = ("ask", "rounds", "speak", "resources/templates/crm://customers/{customer}", "prompts/brief")


@pytest.fixture(scope="module")
def server() -> Iterator[desk.Server]:
    base = f"http://localhost:{(port := free_port())}"
    command = ["-m", "tests.nodes.gateway.conversation.asking_server", str(port)]
    with servers.serving(command, f"{base}/healthz"):
        yield desk.Server(base)


@pytest.fixture(scope="module")
def here(server: desk.Server, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001
    with databases.emptied(django_db_blocker):
        yield desk.granted(desk.discovered(server.url), *NAMES)


@pytest.fixture(scope="module")
def nodes(here: World) -> Iterator[list[Gateway]]:  # noqa: ARG001 - they read the database
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        yield list(pool.map(lambda name: stack.enter_context(world.gateway(name)), ("node-1", "node-2")))


@pytest.fixture(scope="module", params=[1, 2], ids=["one node", "two nodes"])
def front(
    request: pytest.FixtureRequest, nodes: list[Gateway], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Send each request to the next node, of as many as the parameter says."""
    ports = [int(node.base.rpartition(":")[2]) for node in nodes[: request.param]]
    with envoy.balancing(tmp_path_factory.mktemp("envoy"), *ports) as balancer:
        yield balancer.base


class Person:
    """Who sits before the client, with a model and a folder."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.logged: list[str] = []

    async def elicit(self, context: Any, params: Any) -> ElicitResult:  # noqa: ANN401, ARG002 - as the SDK calls it
        self.asked.append(params.message)
        return ElicitResult(
            action="accept", content={"name": f"Ada {len(self.asked)}"} if params.mode == "form" else None
        )

    async def sample(self, context: Any, params: Any) -> CreateMessageResult:  # noqa: ANN401, ARG002
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="x"), model="m")

    async def roots(self, context: Any) -> ListRootsResult:  # noqa: ANN401, ARG002
        return ListRootsResult.model_validate({"roots": [{"uri": "file:///a"}]})

    async def log(self, params: Any) -> None:  # noqa: ANN401
        self.logged.append(params.level)

    def client(self, http: httpx2.AsyncClient, base: str, here: World) -> Client:
        return Client(
            streamable_http_client(f"{base}/gw/{here.system.slug}/mcp", http_client=http), mode="legacy",
            elicitation_callback=self.elicit, sampling_callback=self.sample, list_roots_callback=self.roots,
            logging_callback=self.log, read_timeout_seconds=waits.SECONDS,
        )  # fmt: skip


@pytest.mark.filterwarnings("ignore:The logging capability is deprecated")
def test_the_client_answers_wherever_its_answers_arrive(front: str, here: World) -> None:
    async def visit(person: Person, token: str) -> list[str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=waits.SECONDS) as http,
            person.client(http, front, here) as client,
        ):
            told = [await client.call_tool("ask", {"kinds": "form sampling roots url"}) for _ in range(3)]
            told.append(await client.call_tool("rounds", {"number": 3}))
            read = await client.read_resource("crm://customers/7")
            prompt = await client.get_prompt("brief", {"subject": "x"})
            await client.set_logging_level("warning")
            await client.call_tool("speak", {})
        return [json.loads(each.model_dump_json())["content"][0]["text"] for each in told] + [
            json.loads(read.model_dump_json())["contents"][0]["text"],
            json.loads(prompt.model_dump_json())["messages"][0]["content"]["text"],
        ]

    person = Person()
    *asked, rounds, read, prompt = asyncio.run(visit(person, here.token()))
    for number, each in enumerate(asked):
        answers = {name: value for name, value in json.loads(each).items() if name in ("sampling", "roots")}
        assert answers == {"sampling": "m", "roots": ["file:///a"]}, number
    assert len(json.loads(rounds)) == 3
    assert (read.startswith("7 for ['accept'"), prompt) == (True, "x by m")
    assert len(person.asked) == 3 * 2 + 3 + 1
    assert person.logged == ["warning", "error"]


def test_an_answer_to_a_call_of_a_node_that_died_is_refused(here: World, nodes: list[Gateway]) -> None:
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with world.gateway("node-3") as node:
        client = LegacyClient(node, here, {"elicitation": {}})
        with contextlib.suppress(httpx2.TransportError), client.calling_tool("ask", kinds="form") as messages:
            asked = next(messages)
            node.child.send_signal(signal.SIGKILL)
            next(messages)
        client.node = nodes[0]
        said = {"result": {"action": "cancel"}}
        waits.until(lambda: client.answer(asked, **said).status_code == HTTPStatus.BAD_REQUEST)
    refused = [event.code for event in here.events() if event.action == "call.denied"]
    assert refused[-1] == "malformed_call"
