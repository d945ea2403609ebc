"""A server of 2026 alone that asks its client for input, by the official SDK, and tells what arrived at `/seen`.

`python -m tests.nodes.gateway.conversation.asking_server PORT`. The SDK seals `requestState`, so an echo that is
not what was given is refused.
"""

from __future__ import annotations

import json
import sys
from http import HTTPStatus
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MODERN = b"2026-07-28"
URL = "https://idp.example/sign-in?a=%41&b"
SECRET_WORD = "a word that no record holds"
server = MCPServer("asking")
arrived: list[dict[str, Any]] = []


def form(message: str) -> ElicitRequest:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(text: str = SECRET_WORD) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=TextContent(type="text", text=text))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=20))


QUESTIONS: dict[str, InputRequest] = {
    "form": form("Your name?"),
    "url": ElicitRequest(params=ElicitRequestURLParams(message="Sign in.", url=URL)),
    "http": ElicitRequest(params=ElicitRequestURLParams(message="Sign in.", url="http://a.example/")),
    "sampling": sample(),
    "roots": ListRootsRequest(),
}


def shown(answer: object) -> object:
    """Return what a client answered, short."""
    if isinstance(answer, ElicitResult):
        return [answer.action, answer.content]
    if isinstance(answer, CreateMessageResult):
        return answer.model
    return [str(root.uri) for root in answer.roots] if isinstance(answer, ListRootsResult) else None


@server.tool()
async def ask(kinds: str, ctx: Context) -> str | InputRequiredResult:
    """Ask for everything that is named, at once."""
    if ctx.input_responses:
        return json.dumps({name: shown(answer) for name, answer in ctx.input_responses.items()})
    return InputRequiredResult(input_requests={kind: QUESTIONS[kind] for kind in kinds.split()})


@server.tool()
async def rounds(number: int, ctx: Context) -> str | InputRequiredResult:
    """Ask for a name so many times, one after the other, and keep the names in the state."""
    names: list[str] = json.loads(ctx.request_state) if ctx.request_state else []
    if ctx.input_responses:
        answer = ctx.input_responses["name"]
        assert isinstance(answer, ElicitResult)
        names.append(str((answer.content or {}).get("name")))
    if len(names) >= number:
        return json.dumps(names)
    state = json.dumps(names) if names else None
    return InputRequiredResult(input_requests={"name": form(f"Name {len(names) + 1}?")}, request_state=state)


@server.tool()
async def later(number: int, ctx: Context) -> str | InputRequiredResult:
    """Ask for nothing, so many times: the client is to come again."""
    count = int(ctx.request_state or 0)
    return f"after {count}" if count >= number else InputRequiredResult(request_state=str(count + 1))


@server.tool()
async def speak(ctx: Context) -> str:
    """Log a word at three levels."""
    for level in ("debug", "warning", "error"):
        await ctx.log(level, f"at {level}")
    return "spoken"


@server.resource("crm://customers/{customer}")
async def customer(customer: str, ctx: Context) -> str | InputRequiredResult:
    """A customer, shown once the client has said its name."""
    if ctx.input_responses:
        return f"{customer} for {shown(ctx.input_responses['name'])}"
    return InputRequiredResult(input_requests={"name": form("Who reads?")}, request_state="of a resource")


@server.prompt()
async def brief(subject: str, ctx: Context) -> str | InputRequiredResult:
    """A prompt that a sample of the model completes."""
    if ctx.input_responses:
        return f"{subject} by {shown(ctx.input_responses['sample'])}"
    return InputRequiredResult(input_requests={"sample": sample()})


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ok")


@server.custom_route("/seen", methods=["GET"])
async def seen(_: Request) -> Response:
    """Tell the messages that arrived, in order."""
    return JSONResponse(arrived)


class ModernOnly:
    """Refuses what the server of no other era would know, and notes what arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer -32022 to another version of the protocol."""
        if scope["type"] != "http" or scope["path"] != "/mcp":
            await self._app(scope, receive, send)
            return
        if dict(scope["headers"]).get(b"mcp-protocol-version") != MODERN:
            data = {"supported": [MODERN.decode()], "requested": ""}
            error = {"code": -32022, "message": "Unsupported protocol version", "data": data}
            refusal = JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, HTTPStatus.BAD_REQUEST)
            await refusal(scope, receive, send)
            return

        async def noted() -> Message:
            message = await receive()
            if message.get("body"):
                arrived.append(json.loads(message["body"]))
            return message

        await self._app(scope, noted, send)


if __name__ == "__main__":
    app = ModernOnly(server.streamable_http_app())
    uvicorn.run(app, host="localhost", port=int(sys.argv[1]), log_level="warning")
