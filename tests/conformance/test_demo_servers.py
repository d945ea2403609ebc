"""The demo's outside parts, met by the official client with no gateway between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ListToolsResult

from tests.conformance import servers
from tests.conformance.stdio_runner import digest

ERAS = ["2026-07-28", "legacy"]
WIRE = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/list",
}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
LIST_TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
TIME_SERVER = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]


@pytest.fixture(scope="module")
def time_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Upstream]:
    """The time server of the package registry."""
    with servers.upstream(tmp_path_factory.mktemp("time"), "time", *TIME_SERVER) as found:
        yield found


async def visit(upstream: servers.Upstream, era: str, tool: str, arguments: dict[str, Any]) -> tuple[Any, Any, str]:
    """List and call as the official client does; return both results and the protocol version."""
    async with (
        httpx2.AsyncClient(headers=upstream.headers) as http,
        Client(streamable_http_client(upstream.url, http_client=http), mode=era) as client,
    ):
        return await client.list_tools(), await client.call_tool(tool, arguments), client.protocol_version


async def list_over_stdio(era: str) -> ListToolsResult:
    """List as the server itself answers, with nothing between."""
    async with Client(StdioServerParameters(command=TIME_SERVER[0], args=TIME_SERVER[1:]), mode=era) as client:
        return await client.list_tools()


def control(upstream: servers.Upstream, change: dict[str, Any]) -> None:
    """Change what the runner says about a tool."""
    address = upstream.url.replace("/mcp", "/control/mutate")
    httpx2.post(address, json=change, headers=upstream.headers).raise_for_status()


@pytest.mark.parametrize("era", ERAS)
def test_a_stdio_server_is_reached_over_http_in_both_eras(time_server: servers.Upstream, era: str) -> None:
    _, result, version = asyncio.run(visit(time_server, era, "get_current_time", {"timezone": "UTC"}))

    assert (result.is_error, result.structured_content["timezone"]) == (False, "UTC")
    assert version == ("2025-11-25" if era == "legacy" else era)


@pytest.mark.parametrize("era", ERAS)
def test_definitions_pass_as_the_server_gives_them(time_server: servers.Upstream, era: str) -> None:
    listed, _, _ = asyncio.run(visit(time_server, era, "get_current_time", {"timezone": "UTC"}))

    assert listed == asyncio.run(list_over_stdio(era))


@pytest.mark.parametrize("era", ERAS)
def test_errors_of_the_server_pass_as_it_gives_them(time_server: servers.Upstream, era: str) -> None:
    _, result, _ = asyncio.run(visit(time_server, era, "get_current_time", {"timezone": "Nowhere"}))
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(visit(time_server, era, "no_such_tool", {}))

    assert result.is_error
    assert raised.group_contains(MCPError, match="Unknown tool: no_such_tool", depth=2)


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "upstream-secret"}])
def test_a_call_without_the_upstream_credential_is_refused(
    time_server: servers.Upstream, given: dict[str, str]
) -> None:
    answer = httpx2.post(time_server.url, json=LIST_TOOLS, headers={**WIRE, **given})

    assert answer.status_code == httpx2.codes.UNAUTHORIZED


def test_a_token_that_arrives_anywhere_is_noted(time_server: servers.Upstream) -> None:
    in_header, in_body = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJiIn0.c2ln"
    body = {**LIST_TOOLS, "params": {"_meta": {**META, "smuggled": in_body}}}

    httpx2.post(time_server.url, json=body, headers={**WIRE, **time_server.headers, "x-user": in_header})

    seen = time_server.seen()
    assert {digest(in_header.encode()), digest(in_body.encode())} <= set(seen["tokens"])
    assert digest(time_server.headers["Authorization"].encode()) in seen["header_values"]


def test_a_changed_definition_shows_until_it_is_taken_back(time_server: servers.Upstream) -> None:
    before, _, _ = asyncio.run(visit(time_server, ERAS[0], "get_current_time", {"timezone": "UTC"}))
    control(time_server, {"tool": "convert_time", "change": {"description": "Now sends mail, too."}})
    during, _, _ = asyncio.run(visit(time_server, ERAS[0], "get_current_time", {"timezone": "UTC"}))
    control(time_server, {})
    after, _, _ = asyncio.run(visit(time_server, ERAS[0], "get_current_time", {"timezone": "UTC"}))

    assert {tool.name: tool.description for tool in during.tools}["convert_time"] == "Now sends mail, too."
    assert before == after != during


@pytest.mark.parametrize("era", ERAS)
def test_the_git_server_answers_about_its_repository(tmp_path: Path, era: str) -> None:
    repository = servers.git_repository(tmp_path / "repository")
    command = [servers.program("mcp-server-git"), "--repository", str(repository)]

    with servers.upstream(tmp_path, "git", *command) as upstream:
        _, result, _ = asyncio.run(visit(upstream, era, "git_log", {"repo_path": str(repository)}))

    assert "Begin." in result.content[0].text


def test_the_stub_signs_what_it_is_asked_and_a_retired_key_is_gone() -> None:
    with servers.stub_idp() as issuer:
        metadata = httpx2.get(f"{issuer}/.well-known/openid-configuration").json()
        asked = {"sub": "alice", "aud": "expense-bot", "acr": "phr", "amr": ["hwk"], "auth_time": 5, "exp": 9}
        minted = httpx2.post(f"{issuer}/mint", json=asked).json()["id_token"]
        key_set = jwk.KeySet.import_key_set(httpx2.get(metadata["jwks_uri"]).json())
        httpx2.post(f"{issuer}/rotate", json={"retire": True}).raise_for_status()
        later = jwk.KeySet.import_key_set(httpx2.get(metadata["jwks_uri"]).json())

    token = jwt.decode(minted, key_set, algorithms=["ES256"])
    assert token.claims.items() >= {**asked, "iss": issuer}.items()
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(minted, later, algorithms=["ES256"])
