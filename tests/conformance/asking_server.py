"""A server of 2025 that asks its client during a call: `python -m tests.conformance.asking_server PORT`.

It is the official SDK's, as `legacy_server` has it. `/heard` tells what its clients answered.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import SamplingMessage, TextContent
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.conformance.legacy_server import Legacy

server = MCPServer("asking")
heard: list[str] = []


class Day(BaseModel):
    """What the form asks for."""

    day: str


@server.tool()
async def book(city: str, ctx: Context) -> str:
    """Ask for a day, for a greeting and for the roots, with progress between, and tell all of them."""
    asked = await ctx.elicit(f"Which day in {city}?", Day)
    day = asked.data.day if asked.action == "accept" else asked.action
    heard.append(day)
    await ctx.report_progress(1, 3)
    words = [SamplingMessage(role="user", content=TextContent(type="text", text="Greet."))]
    sampled = await ctx.session.create_message(words, max_tokens=9, related_request_id=ctx.request_id)
    assert isinstance(sampled.content, TextContent)
    heard.append(sampled.content.text)
    await ctx.report_progress(2, 3)
    return f"{city}: {day}, {sampled.content.text}"


@server.prompt()
async def plan(city: str, ctx: Context) -> str:
    """Ask for a day."""
    asked = await ctx.elicit(f"Which day in {city}?", Day)
    return f"{city}: {asked.data.day if asked.action == 'accept' else asked.action}"


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


@server.custom_route("/heard", methods=["GET"])
async def tell(_: Request) -> Response:
    """Tell what its clients answered."""
    return JSONResponse(heard)


class Server(uvicorn.Server):
    """Ends at once: the SDK would wait for the answers of clients that never come."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as it is called
        """End the process."""
        os._exit(0)


if __name__ == "__main__":
    program = Legacy(server.streamable_http_app())
    Server(uvicorn.Config(program, host="localhost", port=int(sys.argv[1]), log_level="warning")).run()
