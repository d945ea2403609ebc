"""Spoilt text on the gateway's wire: messages of MCP, questions of AuthZEN, and what an upstream answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
from aiohttp import web

from entitlements.upstream import mcp_headers
from tests import waits
from tests.attacks.texts import SPOILS, TEXTS, Case, Json
from tests.nodes.gateway import scripted
from tests.nodes.gateway.test_authzen import caller, question
from tests.nodes.gateway.world import META, MODERN, Gateway, World

METHODS = (
    "tools/call",
    "tools/list",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "initialize",
    "tasks/get",
)


class Spoilt(scripted.Scripted):
    """Answers a call with the spoilt text that its argument names, in the place that it names."""

    async def act(self, request: web.Request, body: dict[str, Any], do: str) -> web.StreamResponse:  # noqa: ARG002
        """Answer."""
        place, _, spoil = do.partition(":")
        value = SPOILS.get(spoil, "done")
        content = {
            "content": [{"type": "text", "text": value}],
            "structuredContent": {"a": value},
            "_meta": {"a": value},
        }
        answer: dict[str, Json] = {"jsonrpc": "2.0", "id": body["id"], "result": content}
        match place:
            case "error":
                answer = {"jsonrpc": "2.0", "id": body["id"], "error": {"code": -1, "message": value, "data": value}}
            case "id":
                answer["id"] = value
            case "result":
                answer["result"] = value
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")


def mcp(node: Gateway, here: World, token: str) -> Iterator[Case]:
    """Yield each text of a message, and each header that repeats one. A call that is refused leaves one event."""
    for method in METHODS:
        params: dict[str, Json] = {"_meta": META, "name": here.tool.name, "arguments": here.arguments, "uri": "x"}
        for spoil, value in SPOILS.items():
            for place in params:
                said = _message(method, {**params, place: value})
                yield Case(f"{method} {place} {spoil}", partial(_send, node, here, token, method, said))
            for place in ("method", "id", "jsonrpc", "params"):
                said = {**_message(method, params), place: value}
                yield Case(f"{method} {place} {spoil}", partial(_send, node, here, token, method, said))
        for spoil, text in TEXTS.items():
            said = _message(method, {**params, "arguments": {text: text}})
            yield Case(f"{method} argument {spoil}", partial(_send, node, here, token, method, said))
            said = _message(method, {**params, "_meta": {**META, text: text}})
            yield Case(f"{method} meta {spoil}", partial(_send, node, here, token, method, said))
    for spoil, text in TEXTS.items():
        if spoil in ("NUL", "non-characters"):  # what a header can carry
            said = _message("tools/call", {"_meta": META, "name": text, "arguments": {}})
            named = {"Mcp-Name": mcp_headers.encode(text)}
            send = partial(_send, node, here, token, "tools/call", said, **named)
            yield Case(f"a tool called {spoil}", send, leaves_one=True)
        for header in (
            "Mcp-Name",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Mcp-Method",
            "Traceparent",
            "X-Request-Id",
        ):
            given = text.encode("utf-8", "surrogatepass").replace(b"\x00", b"%00")[:5000]
            said = _message("tools/call", {"_meta": META, "name": here.tool.name, "arguments": here.arguments})
            send = partial(_send, node, here, token, "tools/call", said, **{header: given})
            yield Case(f"header {header} {spoil}", send)


def authzen(node: Gateway, here: World) -> Iterator[Case]:
    """Yield each text of a question to the decision point."""
    token, asked = caller(), question(here)
    for spoil, value in SPOILS.items():
        for part in asked:
            for inside in ("", *asked[part]):
                body = {**asked, part: {**asked[part], inside: value} if inside else value}
                yield Case(f"{part} {inside} {spoil}", partial(_ask, node, token, body))
        for name in ("arguments", "client"):
            body = {**asked, "context": {**asked["context"], name: value}}
            yield Case(f"context {name} {spoil}", partial(_ask, node, token, body))
        yield Case(f"evaluations {spoil}", partial(_ask, node, token, {"evaluations": value, **asked}, "evaluations"))


def upstream(node: Gateway, here: World, token: str) -> Iterator[Case]:
    """Yield calls that an upstream answers with spoilt text."""
    for spoil in SPOILS:
        for place in ("content", "error", "id", "result"):
            said = _message("tools/call", {"_meta": META, "name": "act", "arguments": {"do": f"{place}:{spoil}"}})
            yield Case(f"{place} {spoil}", partial(_send, node, here, token, "tools/call", said, **{"Mcp-Name": "act"}))


def _message(method: str, params: dict[str, Json]) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def _send(node: Gateway, here: World, token: str, method: str, said: Json, **headers: str | bytes) -> httpx2.Response:
    sent: dict[str, Any] = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, "Mcp-Name": here.tool.name, **headers}
    return node.post(here.system.slug, json.dumps(said).encode(), token, headers=sent)


def _ask(node: Gateway, token: str, body: Json, path: str = "evaluation") -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    address = f"{node.base}/access/v1/{path}"
    return httpx2.post(address, content=json.dumps(body).encode(), headers=headers, timeout=waits.SECONDS)
