"""The official client through the gateway to real servers, in each way it can find out how to speak."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from django.conf import settings
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from pytest_django import DjangoDbBlocker

from audit.context import SYSTEM
from tests import databases
from tests.conformance import servers

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

ERAS = ["2026-07-28", "legacy", "auto"]


@pytest.fixture(scope="module")
def node(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Gateway]:  # noqa: ARG001
    """Run one gateway node on a database of this module."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    with databases.emptied(django_db_blocker), world.gateway() as running:
        yield running


@pytest.fixture(scope="module")
def here(node: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:  # noqa: ARG001
    """Pin the time server's tools as it really lists them, and grant one of the two."""
    from entitlements.upstream import upstream  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.nodes.gateway import world  # noqa: PLC0415

    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path_factory.mktemp("time"), "time", *command) as server:
        made = world.build(server.url, server.secret, tool="some_tool")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "DEMO", True)  # the server is on this machine
            raw = asyncio.run(upstream.discover(made.system))
        assert [tool["name"] for tool in raw] == ["get_current_time", "convert_time"]
        made.tool = make.tool(made.system, "get_current_time", definition=raw[0])
        make.tool(made.system, "convert_time", definition=raw[1])
        made.entitlement = make.entitlement(made.system, made.tool, scope=f"{made.system.slug}:time")
        made.grant = make.grant(made.agent, made.entitlement, people=[made.person])
        yield made


async def visit(node: Gateway, here: World, era: str, tool: str, token: str) -> tuple[Any, Any]:
    """List, then call, as the official client does."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{node.base}/gw/{here.system.slug}/mcp", http_client=http), mode=era) as client,
    ):
        return await client.list_tools(), await client.call_tool(tool, {"timezone": "Europe/Paris"})


@pytest.mark.parametrize("era", ERAS)
def test_the_official_client_lists_what_is_granted_and_calls_it(node: Gateway, here: World, era: str) -> None:
    listed, result = asyncio.run(visit(node, here, era, "get_current_time", here.token()))

    assert [tool.name for tool in listed.tools] == ["get_current_time"]
    assert (result.is_error, result.structured_content["timezone"]) == (False, "Europe/Paris")


@pytest.mark.parametrize("era", ERAS)
def test_the_official_client_can_read_a_denial(node: Gateway, here: World, era: str) -> None:
    _, result = asyncio.run(visit(node, here, era, "convert_time", here.token()))

    assert result.is_error
    assert "Request access" in result.content[0].text
    assert result.meta["mandate/denial"]["code"] == "no_grant"


def test_the_official_client_reads_an_outage_as_an_error_of_the_protocol(node: Gateway, here: World) -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(visit(node, here, "2026-07-28", "get_current_time", here.token(sid=None)))

    assert raised.group_contains(MCPError, match="session")


def test_an_agent_that_was_stopped_is_told_so_by_name(node: Gateway, here: World, tmp_path: Path) -> None:
    from entitlements.agents import agents  # noqa: PLC0415

    del tmp_path
    agents.suspend(here.agent, by=SYSTEM, reason="test")
    try:
        with pytest.raises(BaseExceptionGroup) as raised:
            asyncio.run(visit(node, here, "2026-07-28", "get_current_time", here.token()))
    finally:
        agents.restore(here.agent, by=SYSTEM, reason="test is over")

    assert raised.group_contains(MCPError, match="suspended")
