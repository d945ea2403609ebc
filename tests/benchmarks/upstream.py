"""The MCP server behind every gateway: one tool, both protocol eras, as bare ASGI, so that it costs little."""

from __future__ import annotations

from typing import Any

import msgspec

MODERN, LEGACY = "2026-07-28", "2025-11-25"
TOOL = {
    "name": "get",
    "description": "Tells the time.",
    "inputSchema": {"type": "object", "properties": {"timezone": {"type": "string"}}, "required": ["timezone"]},
}
_PAGE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
RESULTS: dict[str, dict[str, Any]] = {
    "server/discover": {**_PAGE, "supportedVersions": [MODERN], "capabilities": {"tools": {}}},
    "tools/list": {**_PAGE, "tools": [TOOL]},
    "tools/call": {
        "resultType": "complete",
        "content": [{"type": "text", "text": "It is noon."}],
        "isError": False,
    },
    "initialize": {
        "protocolVersion": LEGACY,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bench", "version": "1"},
    },
    "ping": {},
}
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Answer one message."""
    if scope["type"] != "http":
        return
    if scope["method"] != "POST":
        await _answer(send, 405, b"")
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    asked = _decode(body)
    if "id" not in asked:
        await _answer(send, 202, b"")
        return
    known = RESULTS.get(asked["method"])
    said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked["id"]}
    said |= {"result": known} if known is not None else {"error": {"code": -32601, "message": "Unknown method"}}
    await _answer(send, 200 if known is not None else 404, _encode(said))


async def _answer(send: Any, status: int, body: bytes) -> None:  # noqa: ANN401 - ASGI
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
