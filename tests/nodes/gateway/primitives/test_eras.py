"""The official client, in each era, through the gateway to the same server in each era."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PromptReference, TextContent, TextResourceContents

from tests.nodes.gateway.primitives import desk
from tests.nodes.gateway.primitives.desk import GREET, NOTES, ORDERS, granted

if TYPE_CHECKING:
    from entitlements.catalog.models import System
    from tests.nodes.gateway.world import Gateway, World

ERAS = ["2026-07-28", "legacy"]


@pytest.fixture(scope="module")
def systems(crm: System, legacy_server: desk.Server) -> dict[str, World]:
    """Grant the same at a system of each era."""
    both = {"2026-07-28": crm, "legacy": desk.discovered(legacy_server.url)}
    return {era: granted(system, NOTES, ORDERS, GREET, "add") for era, system in both.items()}


@dataclass
class Seen:
    """What the client saw."""

    listed: list[str]
    texts: list[str]
    completed: list[str]
    missing: MCPError


async def visit(node: Gateway, here: World, era: str, token: str) -> Seen:
    """List, read, get and complete, as the official client does."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{node.base}/gw/{here.system.slug}/mcp", http_client=http), mode=era) as client,
    ):
        listed = [tool.name for tool in (await client.list_tools()).tools]
        listed += [str(each.uri) for each in (await client.list_resources()).resources]
        listed += [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        listed += [each.name for each in (await client.list_prompts()).prompts]
        texts = []
        for uri in ("crm://notes", "crm://customers/ada/orders"):
            content = (await client.read_resource(uri)).contents[0]
            assert isinstance(content, TextResourceContents)
            texts.append(content.text)
        message = (await client.get_prompt("greet", {"customer": "ada"})).messages[0].content
        assert isinstance(message, TextContent)
        ref = PromptReference(type="ref/prompt", name="greet")
        completed = await client.complete(ref, {"name": "customer", "value": "a"})
        with pytest.raises(MCPError) as raised:
            await client.read_resource("crm://elsewhere")
        return Seen(listed, [*texts, message.text], completed.completion.values, raised.value)


@pytest.mark.parametrize("upstream", ERAS)
@pytest.mark.parametrize("client", ERAS)
def test_every_client_reaches_every_system(
    node: Gateway, systems: dict[str, World], client: str, upstream: str
) -> None:
    seen = asyncio.run(visit(node, systems[upstream], client, systems[upstream].token()))
    assert seen.listed == ["add", "crm://notes", "crm://customers/{id}/orders", "greet"]
    assert seen.texts == ["Call Ada.", "Orders of ada.", "Write to ada in a kind tone."]
    assert seen.completed == ["ada", "alan"]
    assert seen.missing.error.code == (-32602 if client == "2026-07-28" else -32002)
