"""The official client of 2026 answers what the official server of 2025 asks in its calls, through one node and two."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    InputRequiredResult,
    TextContent,
)

from scripts.devservers import free_port
from tests import envoy, waits
from tests.conformance import servers
from tests.nodes.gateway.primitives import desk

if TYPE_CHECKING:
    from entitlements.catalog.models import System
    from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Run the server that asks."""
    port = free_port()
    base = f"http://localhost:{port}"
    with servers.serving(["-m", "tests.conformance.asking_server", str(port)], f"{base}/healthz"):
        yield base


@pytest.fixture(scope="module")
def nodes(database: None) -> Iterator[list[Gateway]]:  # noqa: ARG001 - they read it
    """Run two nodes."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        yield list(pool.map(lambda name: stack.enter_context(world.gateway(name)), ("node-1", "node-2")))


@pytest.fixture(scope="module")
def system(database: None, upstream: str) -> System:  # noqa: ARG001 - it writes there
    """Register the server, with its tool and its prompt as it lists them."""
    return desk.discovered(f"{upstream}/mcp")


@pytest.fixture
def here(system: System) -> World:
    """Grant both."""
    return desk.granted(system, "book", "prompts/plan")


class Person:
    """Answers the forms and samples of a client; `progress` is what it heard beside."""

    def __init__(self, here: World) -> None:
        self.system = here.system.slug
        self.token = here.token()
        self.progress: list[float] = []
        self.asked: list[str] = []

    async def fill_in(self, context: object, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - as called
        """Name a day."""
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"day": "Monday"})

    async def sample(self, context: object, params: CreateMessageRequestParams) -> CreateMessageResult:  # noqa: ARG002
        """Greet."""
        self.asked.append(text_of(params.messages[0].content))
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="Hello"), model="m")

    async def hear(self, progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG002
        """Note progress."""
        self.progress.append(progress)


@asynccontextmanager
async def client(base: str, person: Person) -> AsyncIterator[Client]:
    """Open the official client of 2026, as this person."""
    headers = {"Authorization": f"Bearer {person.token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=waits.SECONDS) as http,
        Client(
            streamable_http_client(f"{base}/gw/{person.system}/mcp", http_client=http),
            mode="2026-07-28", elicitation_callback=person.fill_in, sampling_callback=person.sample,
        ) as opened,
    ):  # fmt: skip
        yield opened


def text_of(content: object) -> str:
    """Return a text."""
    assert isinstance(content, TextContent)
    return content.text


async def book(base: str, person: Person, city: str) -> str:
    """Book a day by the tool, and return what it says."""
    async with client(base, person) as opened:
        result = await opened.call_tool("book", {"city": city}, progress_callback=person.hear)
    assert not result.is_error
    return text_of(result.content[0])


def test_several_rounds_through_one_node(nodes: list[Gateway], here: World, upstream: str) -> None:
    person = Person(here)
    assert asyncio.run(book(nodes[0].base, person, "Paris")) == "Paris: Monday, Hello"
    assert person.asked == ["Which day in Paris?", "Greet."]
    assert httpx2.get(f"{upstream}/heard").json()[-2:] == ["Monday", "Hello"]


def test_a_prompt_asks_as_a_tool_does(nodes: list[Gateway], here: World) -> None:
    person = Person(here)

    async def plan() -> str:
        async with client(nodes[0].base, person) as opened:
            return text_of((await opened.get_prompt("plan", {"city": "Rome"})).messages[0].content)

    assert asyncio.run(plan()) == "Rome: Monday"


def test_each_round_at_another_node(
    nodes: list[Gateway], here: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports = [urlsplit(node.base).port or 0 for node in nodes]
    people = [Person(here) for _ in range(6)]

    async def all_at_once(base: str) -> list[str]:
        return await asyncio.gather(*(book(base, each, f"city {n}") for n, each in enumerate(people)))

    with envoy.balancing(tmp_path_factory.mktemp("envoy"), *ports) as balancer:
        said = asyncio.run(all_at_once(balancer.base))
        assert min(balancer.served().values()) >= 6
    assert said == [f"city {n}: Monday, Hello" for n in range(6)]
    assert all(each.progress for each in people)
    assert sorted(call for call in here.calls() if call != "call.finished") == (
        ["call.allowed"] * 6 + ["call.retried"] * 12
    )


def test_a_call_whose_node_is_killed_says_so_and_can_be_made_again(nodes: list[Gateway], here: World) -> None:
    (doomed, other), person = nodes, Person(here)
    said: dict[str, Any] = {"question-1": ElicitResult(action="accept", content={"day": "Sunday"})}

    async def interrupted() -> str:
        async with client(doomed.base, person) as opened:
            asked = await opened.session.call_tool("book", {"city": "Oslo"}, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        doomed.child.send_signal(signal.SIGKILL)
        doomed.child.wait(waits.SECONDS)
        async with client(other.base, person) as opened:
            go_on = opened.session.call_tool
            with pytest.raises(MCPError, match="over"):
                await go_on("book", {"city": "Oslo"}, input_responses=said, request_state=asked.request_state)
        return await book(other.base, person, "Oslo")

    assert asyncio.run(interrupted()) == "Oslo: Monday, Hello"
    assert "call_over" in [event.code for event in here.events() if event.action == "call.denied"]
