"""Two nodes behind a balancer that sends each request to the next: an official client of 2025 notices nothing of it.

A call has begun when the balancer has sent it to a node. One that has not is sent to another node when its own is
killed; of one that has, it is unknown whether it was carried out, so it may not be tried again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from entitlements.gateway.models import EndedClientSession, UpstreamSession
from scripts.devservers import free_port
from tests import envoy, make, waits
from tests.conformance import servers

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Run a legacy server that keeps sessions."""
    port = free_port()
    base = f"http://localhost:{port}"
    with servers.serving(["-m", "tests.conformance.legacy_server", str(port)], f"{base}/healthz"):
        yield base


@pytest.fixture
def nodes(database: None) -> Iterator[list[Gateway]]:  # noqa: ARG001 - they read it
    """Run two nodes."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        yield list(pool.map(lambda name: stack.enter_context(world.gateway(name)), ("node-1", "node-2")))


@pytest.fixture
def here(database: None, upstream: str) -> World:  # noqa: ARG001 - it writes there
    """Grant both tools of the legacy server."""
    from tests.nodes.gateway import world  # noqa: PLC0415

    made = world.build(f"{upstream}/mcp", tool="add", schema=NUMBER)
    definition = {"name": "wait", "description": "Waits.", "inputSchema": NUMBER}
    tools = made.tool, make.tool(made.system, "wait", definition=definition)
    both = make.entitlement(made.system, *tools, scope=f"{made.system.slug}:both")
    make.grant(made.agent, both, people=[made.person])
    return made


@asynccontextmanager
async def session(base: str, here: World, token: str) -> AsyncIterator[Client]:
    """Open a session of the official client as it spoke in 2025."""
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx2.Limits(max_connections=100)
    async with (
        httpx2.AsyncClient(headers=headers, limits=limits, timeout=waits.SECONDS) as http,
        Client(streamable_http_client(f"{base}/gw/{here.system.slug}/mcp", http_client=http), mode="legacy") as client,
    ):
        yield client


async def call(client: Client, tool: str, number: int) -> int | None:
    """Return the answer of a call, None for one that was lost."""
    try:
        result = await client.call_tool(tool, {"number": number})
    except MCPError:
        return None
    return None if result.is_error else int(result.structured_content["result"])


def seen(upstream: str) -> Any:  # noqa: ANN401 - JSON
    return httpx2.get(f"{upstream}/seen").json()


def test_forty_calls_at_once_and_a_killed_node_lose_none_that_had_not_begun(
    nodes: list[Gateway], here: World, upstream: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ports, token = [urlsplit(node.base).port or 0 for node in nodes], here.token(scope=f"{here.system.slug}:both")
    under_way, meanwhile, afterwards = range(100, 120), range(200, 220), range(300, 340)

    async def work(balancer: envoy.Balancer) -> tuple[list[int | None], ...]:
        async with session(balancer.base, here, token) as client:

            def at_once(tool: str, numbers: Iterable[int]) -> asyncio.Future[list[int | None]]:
                return asyncio.gather(*(call(client, tool, number) for number in numbers))

            before = balancer.served()
            assert await at_once("add", range(40)) == [*range(1, 41)]
            served = {port: count - before[port] for port, count in balancer.served().items()}
            assert min(served.values()) >= 15, served

            begun = at_once("wait", under_way)
            await waits.until_so(lambda: set(under_way) <= set(seen(upstream)["arrived"]))
            nodes[0].child.send_signal(signal.SIGKILL)
            racing = await at_once("add", meanwhile)
            nodes[0].child.wait(waits.SECONDS)
            after = await at_once("add", afterwards)
            httpx2.post(f"{upstream}/release")
            return await begun, racing, after

    with envoy.balancing(tmp_path_factory.mktemp("envoy"), *ports) as balancer:
        begun, racing, after = asyncio.run(work(balancer))

    assert after == [number + 1 for number in afterwards]
    lost = [*begun, *racing].count(None)
    failed = [(line["flags"], line["node"]) for line in balancer.failed()]
    assert failed == [("UC", f"127.0.0.1:{ports[0]}")] * lost  # each was sent to the node before it was gone
    assert 0 < begun.count(None) < len(begun)
    assert {*begun, *racing} <= {None, *(number + 1 for number in (*under_way, *meanwhile))}
    in_session = seen(upstream)["sessions"].values()
    assert len([count for count in in_session if count > 2]) == 1  # of two begun at once, one is greeted and ended
    assert UpstreamSession.objects.filter(agent=here.agent).count() == 1
    assert EndedClientSession.objects.count() == 1  # the client said goodbye, to the node that lives
