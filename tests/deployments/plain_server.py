"""A small MCP server of the official SDK that wants no credential: `python -m tests.deployments.plain_server PORT`."""

from __future__ import annotations

import sys

from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

server = MCPServer("plain")


@server.tool()
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@server.tool()
def delete_note(name: str) -> str:
    """Delete a note."""
    return f"{name} is gone"


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


if __name__ == "__main__":
    server.run("streamable-http", host="localhost", port=int(sys.argv[1]))
