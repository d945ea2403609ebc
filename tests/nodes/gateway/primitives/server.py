"""A server with resources, templates, prompts and completion, by the official SDK, in both eras.

`python -m tests.nodes.gateway.primitives.server PORT [legacy]`; `/seen` tells what arrived.
"""

from __future__ import annotations

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.conformance.legacy_server import Legacy

CUSTOMERS = ("ada", "alan", "grace")
server = MCPServer("primitives")
arrived: list[str] = []


@server.tool()
def add(number: int) -> int:
    """Add one."""
    arrived.append(f"add {number}")
    return number + 1


@server.resource("crm://notes", mime_type="text/plain")
def notes() -> str:
    """All notes."""
    arrived.append("crm://notes")
    return "Call Ada."


@server.resource("crm://logo", mime_type="image/png")
def logo() -> bytes:
    """The logo."""
    return b"\x89PNG"


@server.resource("crm://customers/{id}/orders")
def orders(id: str) -> str:  # noqa: A002 - the name of the variable
    """The orders of a customer."""
    arrived.append(f"orders of {id}")
    return f"Orders of {id}."


@server.resource("crm://broken")
def broken() -> str:
    """A resource that cannot be read."""
    raise ValueError


@server.prompt()
def greet(customer: str, tone: str = "kind") -> str:
    """Greet a customer."""
    arrived.append(f"greet {customer}")
    return f"Write to {customer} in a {tone} tone."


@server.completion()  # type: ignore[no-untyped-call]
async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    """Complete the name of a customer."""
    del ref, context
    arrived.append(f"complete {argument.value}")
    return Completion(values=[name for name in CUSTOMERS if name.startswith(argument.value)])


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


@server.custom_route("/seen", methods=["GET"])
async def seen(_: Request) -> Response:
    """Tell what arrived, in order."""
    return JSONResponse(arrived)


if __name__ == "__main__":
    app = server.streamable_http_app()
    uvicorn.run(
        Legacy(app) if "legacy" in sys.argv else app, host="localhost", port=int(sys.argv[1]), log_level="warning"
    )
