"""Both protocol eras at one address: sessions of the legacy one, and the trace that either carries."""

from __future__ import annotations

import httpx2

from tests import make
from tests.conformance import servers
from tests.nodes.gateway import world
from tests.nodes.gateway.test_wire import call_of, error, headers_of
from tests.nodes.gateway.world import META, Gateway, World


def legacy(node: Gateway, here: World, method: str, token: str, session: str = "", **params: object) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": "a", "method": method, "params": params}
    headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"} if session else {}
    return node.post(here.system.slug, body, token, headers=headers)


def begin(node: Gateway, here: World, token: str) -> str:
    answer = legacy(node, here, "initialize", token, protocolVersion="2025-11-25", capabilities={}, clientInfo={})
    assert answer.json()["result"]["protocolVersion"] == "2025-11-25"
    assert "resultType" not in answer.json()["result"]
    return str(answer.headers["mcp-session-id"])


def test_gw_16_a_legacy_session_is_needed_kept_and_ended(node: Gateway, here: World) -> None:
    token = here.token()
    session = begin(node, here, token)
    address = f"{node.base}/gw/{here.system.slug}/mcp"
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}

    missing = legacy(node, here, "tools/list", token)
    listed = legacy(node, here, "tools/list", token, session)
    called = legacy(node, here, "tools/call", token, session, name=here.tool.name, arguments=here.arguments)
    ping = legacy(node, here, "ping", token, session)
    ended = httpx2.delete(address, headers=headers)
    dead = legacy(node, here, "tools/list", token, session)

    assert (missing.status_code, error(missing)["code"]) == (400, -32600)
    assert [tool["name"] for tool in listed.json()["result"]["tools"]] == [here.tool.name]
    assert called.json()["result"]["structuredContent"]["timezone"] == "UTC"
    assert (called.json()["id"], ping.json()["result"]) == ("a", {})
    assert (ended.status_code, dead.status_code) == (200, 404)
    assert httpx2.delete(address, headers=headers).status_code == 404


def test_gw_16_a_session_serves_nobody_but_who_began_it(
    node: Gateway, here: World, time_server: servers.Upstream
) -> None:
    session = begin(node, here, here.token())
    stranger = world.build(time_server.url, time_server.secret)
    stranger.system = here.system
    make.grant(stranger.agent, here.entitlement, people=[stranger.person])

    answer = legacy(node, here, "tools/list", stranger.token(scope=here.entitlement.scope), session)

    assert (answer.status_code, error(answer)["code"]) == (404, -32600)


def test_gw_16_a_session_is_no_authentication(node: Gateway, here: World) -> None:
    session = begin(node, here, here.token())
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    assert node.post(here.system.slug, body, headers={"Mcp-Session-Id": session}).status_code == 401


def test_gw_17_one_address_serves_both_eras(node: Gateway, here: World) -> None:
    token = here.token()
    session = begin(node, here, token)

    modern = node.modern(here.system.slug, "tools/list", token).json()["result"]
    old = legacy(node, here, "tools/list", token, session).json()["result"]

    assert modern["tools"] == old["tools"]
    assert set(old) == {"tools"}


# GW-18


def test_gw_18_a_call_belongs_to_the_trace_that_the_message_names(node: Gateway, here: World) -> None:
    inside, outside = "ab" * 16, "cd" * 16
    meta = {**META, "traceparent": f"00-{inside}-{'1' * 16}-01"}
    headers = headers_of(here, traceparent=f"00-{outside}-{'2' * 16}-01")

    node.post(here.system.slug, call_of(here, _meta=meta), here.token(), headers=headers)
    node.post(here.system.slug, call_of(here), here.token(), headers=headers)
    node.post(
        here.system.slug, call_of(here, _meta={**META, "traceparent": "junk"}), here.token(), headers=headers_of(here)
    )

    allowed = [event.trace for event in here.events() if event.action == "call.allowed"]
    assert allowed[:2] == [inside, outside]
    assert len(allowed[2]) == 32
