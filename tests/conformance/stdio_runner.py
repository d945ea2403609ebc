"""A stdio MCP server behind Streamable HTTP on loopback, as an upstream of tests.

    UPSTREAM_SECRET=... python -m tests.conformance.stdio_runner OPTIONS -- COMMAND

    options: --name time --port 8101 [--seen FILE] [--mutate]

The HTTP side is the official SDK's server entry, so both protocol eras (2026-07-28 and 2025-11-25) are the real thing;
every request but the handshake is handed raw to the child and its answer handed back raw, definitions included. There
is one child for each era, started on first use, since a stdio connection belongs to the era of its first request.

It proves two promises from the outside: a call without `Authorization: Bearer <secret>` is refused, so the gateway must
have injected the credential; and `--seen` notes the digest of every header value and of everything that looks like a
JSON Web Token, so that a test can show that the caller's own token never arrived. `--mutate` opens
`POST /control/mutate`, which changes what `tools/list` says about one tool: the drift that the product must notice.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "localhost"
JWT = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*")
SECRET_VARIABLE = "UPSTREAM_SECRET"


class Child:
    """One stdio process, spoken to in one era; started by the first request."""

    def __init__(self, command: list[str], *, is_modern: bool) -> None:
        self._parameters = StdioServerParameters(command=command[0], args=command[1:])
        self._is_modern = is_modern
        self._starting = anyio.Lock()
        self._dispatcher: JSONRPCDispatcher[Any] | None = None
        self.hello: dict[str, Any] = {}

    async def ask(self, group: anyio.abc.TaskGroup, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Hand one request to the child as it came, and return its result as it came. Raises MCPError."""
        return await (await self.ready(group)).send_raw_request(method, params)

    async def ready(self, group: anyio.abc.TaskGroup) -> JSONRPCDispatcher[Any]:
        """Return the connection to the running child."""
        async with self._starting:
            if self._dispatcher is None:
                self._dispatcher = await group.start(self._run)
        assert self._dispatcher is not None
        return self._dispatcher

    async def _run(self, *, task_status: anyio.abc.TaskStatus[JSONRPCDispatcher[Any]]) -> None:
        async with stdio_client(self._parameters) as (read, write):
            dispatcher: JSONRPCDispatcher[Any] = JSONRPCDispatcher(read, write)
            async with ClientSession(dispatcher=dispatcher) as session:
                if not self._is_modern:
                    initialized = await session.initialize()
                    self.hello = initialized.model_dump(by_alias=True, mode="json", exclude_none=True)
                task_status.started(dispatcher)
                await anyio.sleep_forever()


class Relay:
    """The middleware that answers from the children; what `/control/mutate` changed is laid over `tools/list`."""

    def __init__(self, command: list[str]) -> None:
        self._children = {is_modern: Child(command, is_modern=is_modern) for is_modern in (True, False)}
        self._group: anyio.abc.TaskGroup | None = None
        self.changes: dict[str, dict[str, Any]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the children for the length of the block."""
        async with anyio.create_task_group() as group:
            self._group = group
            yield
            group.cancel_scope.cancel()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer one message: a result the child gave, or the SDK's own for handshakes and notifications."""
        assert self._group is not None
        child = self._children[ctx.protocol_version in MODERN_PROTOCOL_VERSIONS]
        if ctx.request_id is None or ctx.method == "ping":
            return await call_next(ctx)
        if ctx.method == "initialize":
            ours = await call_next(ctx)
            assert isinstance(ours, dict)
            legacy = self._children[False]
            await legacy.ready(self._group)
            return {**legacy.hello, "protocolVersion": ours["protocolVersion"]}
        result = await child.ask(self._group, ctx.method, ctx.params)
        return self._changed(result) if ctx.method == "tools/list" else result

    def _changed(self, result: dict[str, Any]) -> dict[str, Any]:
        tools = [{**tool, **self.changes.get(tool["name"], {})} for tool in result["tools"]]
        return {**result, "tools": tools}


class Guard:
    """The middleware that wants the upstream credential, and notes what arrived."""

    def __init__(self, app: ASGIApp, *, secret: str, seen: Path | None) -> None:
        self._app, self._seen = app, seen
        self._expected = f"Bearer {secret}".encode()
        self._notes: dict[str, Any] = {"requests": 0, "calls": 0, "refused": 0, "last_authorization": None}
        self._digests: dict[str, set[str]] = {"header_values": set(), "tokens": set()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass requests that carry the credential; answer 401 to others. `/healthz` is open."""
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        is_known = hmac.compare_digest(authorization, self._expected)
        self._note_request(scope, authorization, is_known=is_known)
        if not is_known:
            error = {"code": -32600, "message": "The upstream credential is missing or wrong."}
            answer = JSONResponse(
                {"jsonrpc": "2.0", "id": None, "error": error}, 401, {"WWW-Authenticate": 'Bearer realm="upstream"'}
            )
            await answer(scope, receive, send)
            return

        async def watched() -> Message:
            message = await receive()
            self._note_body(message.get("body", b""))
            return message

        await self._app(scope, watched, send)

    def _note_request(self, scope: Scope, authorization: bytes, *, is_known: bool) -> None:
        self._notes["requests"] += 1
        self._notes["refused"] += not is_known
        self._notes["last_authorization"] = digest(authorization) if authorization else None
        self._digests["header_values"].update(digest(value) for _, value in scope["headers"])
        values = [value for _, value in scope["headers"]]
        self._note_tokens(b"\n".join([scope["query_string"], scope["raw_path"], *values]))
        self._write()

    def _note_body(self, body: bytes) -> None:
        if b'"tools/call"' in body:
            self._notes["calls"] += 1
            self._write()
        self._note_tokens(body)

    def _note_tokens(self, text: bytes) -> None:
        if tokens := JWT.findall(text):
            self._digests["tokens"].update(digest(token) for token in tokens)
            self._write()

    def _write(self) -> None:
        if self._seen:
            notes = {**self._notes, **{name: sorted(digests) for name, digests in self._digests.items()}}
            fresh = self._seen.with_suffix(".new")
            fresh.write_text(json.dumps(notes, indent=1))
            fresh.replace(self._seen)


def digest(value: bytes) -> str:
    """Return the SHA-256 of a value in hex: enough to recognise it, not to use it."""
    return hashlib.sha256(value).hexdigest()


def application(name: str, command: list[str], *, secret: str, seen: Path | None, is_mutable: bool) -> Starlette:
    """Return the ASGI application: `/mcp`, `/healthz` and, when asked for, `/control/mutate`."""
    relay = Relay(command)
    server: Server[Any] = Server(name)
    server.middleware.append(relay)
    local = [f"{host}:*" for host in ("localhost", "127.0.0.1", "[::1]")]
    manager = StreamableHTTPSessionManager(
        app=server,
        security_settings=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=local,
            allowed_origins=[f"http://{host}" for host in local],
        ),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with relay.running(), manager.run():
            yield

    async def mutate(request: Request) -> Response:
        """Lay `{"tool": name, "change": {...}}` over a tool's definition; `{}` takes every change back."""
        change = await request.json()
        if not change:
            relay.changes.clear()
        else:
            relay.changes.setdefault(change["tool"], {}).update(change["change"])
        return JSONResponse({"changes": relay.changes})

    routes = [Route("/mcp", endpoint=StreamableHTTPASGIApp(manager)), Route("/healthz", endpoint=_healthz)]
    if is_mutable:
        routes.append(Route("/control/mutate", endpoint=mutate, methods=["POST"]))
    return Starlette(routes=routes, middleware=[Middleware(Guard, secret=secret, seen=seen)], lifespan=lifespan)


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def main(arguments: list[str]) -> int:
    """Serve until a signal ends it; what follows `--` is the server's command."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="stdio_runner", description="Serve a stdio MCP server over HTTP on loopback.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--seen", type=Path, help="where to note the digests of what arrived")
    parser.add_argument("--mutate", action="store_true", help="open POST /control/mutate (tests only)")
    options, command = parser.parse_args(arguments[:at]), arguments[at + 1 :]
    secret = os.environ.pop(SECRET_VARIABLE, "")
    if not command or not secret:
        parser.error(f"give a command after --, and the upstream credential in {SECRET_VARIABLE}")
    logging.basicConfig(level=logging.WARNING)
    app = application(options.name, command, secret=secret, seen=options.seen, is_mutable=options.mutate)
    uvicorn.run(app, host=HOST, port=options.port, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
