"""A server of the 2025 protocol, with sessions: `python -m tests.conformance.legacy_server PORT`.

It is the official SDK's server without the era that it learned since. `wait` answers after a post to
`/release`; `/seen` tells what arrived.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from http import HTTPStatus

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

MODERN = b"2026-07-28"
server = MCPServer("legacy")
released = asyncio.Event()
arrived: list[int] = []
sessions: Counter[str] = Counter()


@server.tool()
async def add(number: int) -> int:
    """Add one at once."""
    arrived.append(number)
    return number + 1


@server.tool()
async def wait(number: int) -> int:
    """Add one, some time."""
    arrived.append(number)
    await released.wait()
    return number + 1


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


@server.custom_route("/seen", methods=["GET"])
async def seen(_: Request) -> Response:
    """Tell the numbers of the calls that arrived, and how many requests came in each session."""
    return JSONResponse({"arrived": arrived, "sessions": sessions})


@server.custom_route("/release", methods=["POST"])
async def release(_: Request) -> Response:
    """Let those that wait go on."""
    released.set()
    return PlainTextResponse("ok")


class Legacy:
    """Refuses what a server of that time does not know, and counts sessions."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 to another version of the protocol."""
        headers = dict(scope.get("headers", ()))
        if headers.get(b"mcp-protocol-version") == MODERN:
            refusal = JSONResponse({"error": "Unsupported protocol version"}, HTTPStatus.BAD_REQUEST)
            await refusal(scope, receive, send)
            return
        if b"mcp-session-id" in headers:
            sessions[headers[b"mcp-session-id"].decode()] += 1
        await self._app(scope, receive, send)


if __name__ == "__main__":
    uvicorn.run(Legacy(server.streamable_http_app()), host="localhost", port=int(sys.argv[1]), log_level="warning")
