"""A local server of the official Python SDK that speaks of its own accord: it asks, logs, and says what changed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("lib")))

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    EmptyResult,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel

server = MCPServer("asking")
WATCHED: set[str] = set()
LEVELS: list[str] = []


class Name(BaseModel):
    name: str


@server.tool()
async def elicit(ctx: Context) -> str:
    """Ask for a name."""
    said = await ctx.elicit("Who are you?", Name)
    return said.data.name if said.action == "accept" else said.action


@server.tool()
async def sample(ctx: Context) -> str:
    """Ask the client's model."""
    question = SamplingMessage(role="user", content=TextContent(type="text", text="How much?"))
    said = await ctx.session.create_message(messages=[question], max_tokens=9)
    return str(said.content.text)


@server.tool()
async def roots(ctx: Context) -> str:
    """Ask for the roots."""
    return " ".join(str(root.uri) for root in (await ctx.session.list_roots()).roots)


@server.tool()
async def work(ctx: Context) -> str:
    """Report progress and log."""
    await ctx.report_progress(1, 2, "half")
    await ctx.info("a word in the log")
    return "done"


@server.tool()
async def change(ctx: Context, uri: str) -> str:
    """Say that a resource changed, where it is watched, and that the list of resources did."""
    if uri in WATCHED:
        await ctx.session.send_resource_updated(uri)
    await ctx.session.send_resource_list_changed()
    return " ".join(sorted(WATCHED) + LEVELS)


@server.tool()
async def retool(ctx: Context) -> str:
    """Say that the list of tools changed."""
    await ctx.session.send_tool_list_changed()
    return "said"


@server.resource("note://one")
def one() -> str:
    """A note."""
    return "the first note"


@server.resource("note://two")
def two() -> str:
    """Another note."""
    return "the second note"


@server.prompt()
def greet(name: str) -> str:
    """Greet a person."""
    return f"Greet {name}."


@server.completion()  # type: ignore[no-untyped-call]
async def complete(_ref: object, argument: CompletionArgument, _context: object) -> Completion:
    """Complete the name of a person."""
    return Completion(values=[name for name in ("ada", "alan", "ben") if name.startswith(argument.value)])


async def subscribe(_ctx: object, params: SubscribeRequestParams) -> EmptyResult:
    WATCHED.add(str(params.uri))
    return EmptyResult()


async def unsubscribe(_ctx: object, params: UnsubscribeRequestParams) -> EmptyResult:
    WATCHED.discard(str(params.uri))
    return EmptyResult()


async def set_level(_ctx: object, params: SetLevelRequestParams) -> EmptyResult:
    LEVELS.append(params.level)
    return EmptyResult()


handlers = server._lowlevel_server
handlers.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
handlers.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
handlers.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)

if __name__ == "__main__":
    server.run("stdio")
