"""A REST API behind the gateway: a real service that notes what it saw, and an agent with three of its operations."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from audit.context import SYSTEM
from entitlements import addresses
from entitlements.catalog.models import System, Tool
from entitlements.rest import operation
from entitlements.rest.operation import Body, Media, Method, Operation, Parameter, Place, Shape, Style
from entitlements.secrets import vault
from scripts.devservers import free_port
from tests import make, waits
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway, World

SECRET = "canary-secret-7f3a"
TEXT, INTEGER = Shape("string"), Shape("integer")
ID = Parameter("id", "id", Place.PATH, Style.SIMPLE, False, TEXT, required=True)  # noqa: FBT003
LIMIT = Parameter("limit", "limit", Place.QUERY, Style.FORM, True, INTEGER)  # noqa: FBT003
DO = Parameter("do", "do", Place.QUERY, Style.FORM, True, TEXT)  # noqa: FBT003
OPERATIONS = {
    "list_orders": Operation(Method.GET, "/orders", (LIMIT, DO)),
    "read_order": Operation(Method.GET, "/orders/{id}", (ID,)),
    "create_order": Operation(Method.POST, "/orders", (), Body(Media.JSON, required=True)),
    "delete_order": Operation(Method.DELETE, "/orders/{id}", (ID,)),
    "read_secrets": Operation(Method.GET, "/orders/{id}/secrets", (ID,)),
    "look": Operation(Method.HEAD, "/orders", ()),
}
GRANTED = ("list_orders", "read_order", "create_order", "look")
SCHEMAS: dict[str, dict[str, Any]] = {
    "list_orders": {"limit": {"type": "integer", "maximum": 100}, "do": {"type": "string"}},
    "read_order": {"id": {"type": "string"}},
    "create_order": {
        "body": {"type": "object", "properties": {"item": {"type": "string"}, "count": {"type": "integer"}}}
    },
    "delete_order": {"id": {"type": "string"}},
    "read_secrets": {"id": {"type": "string"}},
    "look": {},
}


@dataclass
class Service:
    """The service, as it saw each request."""

    url: str
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    async def orders(self, request: Request) -> Response:
        """Answer as the argument `do` asks."""
        await self.note(request)
        if request.method == "POST":
            return JSONResponse(await request.json(), 201, {"Location": "http://inside/orders/7", "ETag": '"7"'})
        return await self.act(request, request.query_params.get("do", ""))

    async def act(self, request: Request, do: str) -> Response:  # noqa: C901, PLR0911 - a table
        """Do what no polite service does."""
        self.started.set()
        match do:
            case "hang":
                try:
                    while not await request.is_disconnected():  # noqa: ASYNC110 - no event says so
                        await asyncio.sleep(0.1)
                finally:
                    self.left.set()
            case "repeat":
                said = request.headers["authorization"]
                escaped = "".join(f"\\u{ord(letter):04x}" for letter in said)
                return Response(
                    f'{{"said":"{escaped}"}}', 200, {"X-Request-Id": said, "Content-Type": "application/json"}
                )
            case "text":
                return PlainTextResponse(f"as {request.headers['authorization']}")
            case "binary":
                return Response(b"\x00\xff", media_type="application/octet-stream")
            case "bomb":
                body = gzip.compress(b"0" * 50_000_000)
                return Response(body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
            case "endless":
                return StreamingResponse(
                    (b"data: x\n\n" * 100_000 for _ in range(1_000)), media_type="text/event-stream"
                )
            case "redirect":
                return Response(status_code=302, headers={"Location": "http://169.254.169.254/latest"})
            case "nothing":
                return Response(status_code=204, headers={"Set-Cookie": "a=b"})
            case "401" | "404" | "500" | "502" | "503" | "504":
                return JSONResponse({"error": "no"}, int(do), {"WWW-Authenticate": "Basic", "Retry-After": "7"})
        return JSONResponse(
            [{"id": 1}], headers={"Set-Cookie": "a=b", "ETag": '"1"', "Access-Control-Allow-Origin": "*"}
        )

    async def order(self, request: Request) -> Response:
        """Answer with the id."""
        await self.note(request)
        return JSONResponse({"id": request.path_params["id"]})

    async def note(self, request: Request) -> None:
        """Keep what came."""
        path = request.scope["raw_path"].decode()
        target = f"{path}?{request.url.query}" if request.url.query else path
        self.seen.append((request.method, target, dict(request.headers), await request.body()))


@contextlib.contextmanager
def service() -> Iterator[Service]:
    """Serve on loopback in a thread until the block ends."""
    found = Service(f"http://localhost:{(port := free_port())}/base")
    every = ["GET", "POST", "DELETE", "PUT"]
    app = Starlette(
        routes=[
            Route("/base/orders", found.orders, methods=every),
            Route("/base/orders/{id}", found.order, methods=every),
            Route("/base/orders/{id}/secrets", found.order, methods=every),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, host="localhost", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    waits.until(lambda: server.started)
    try:
        yield found
    finally:
        server.should_exit = server.force_exit = True
        thread.join(waits.SECONDS)


def build(url: str, *, limits: Mapping[str, Mapping[str, Any]] | None = None, risk: str = "low") -> World:
    """Make a world whose system is a REST API, with a grant of three operations of it and of one without a body."""
    made = world.build(url, SECRET)
    system = made.system
    System.objects.filter(pk=system.pk).update(kind=System.Kind.HTTP)
    system.refresh_from_db()
    made.grant.lines.all().delete()
    found = {}
    for name, each in OPERATIONS.items():
        found[name] = make.tool(system, name, definition=_definition(name, each, SCHEMAS[name]), risk=risk)
    waiting = make.tool(
        system, "read_own", definition=_definition("read_own", Operation(Method.GET, "/orders/mine"), {})
    )
    Tool.objects.filter(pk=waiting.pk).update(approved=None, state=Tool.State.PENDING)
    entitlement = make.entitlement(system, *(found[name] for name in GRANTED), scope=f"{system.slug}:orders")
    made.grant = make.grant(made.agent, entitlement, people=[made.person], limits=limits)
    made.entitlement, made.tool, made.arguments = entitlement, found["list_orders"], {"limit": 3}
    vault.set_secret(system, kind="bearer", value=SECRET, by=SYSTEM)
    return made


def _definition(name: str, each: Operation, properties: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    described = {"name": name, "description": f"Does {name}.", "inputSchema": schema}
    return {**described, operation.MEMBER: operation.as_member(each)}


def token(here: World, **changes: object) -> str:
    """Sign a token for the REST address of the system."""
    return here.token(aud=addresses.resources(here.system)[1], **changes)


def ask(
    node: Gateway,
    here: World,
    method: str,
    target: str,
    *,
    content: bytes | None = None,
    with_token: str = "",
    **headers: str,
) -> httpx2.Response:
    """Send a request to the REST address, its target as it is written."""
    sent = {
        "authorization": f"Bearer {with_token or token(here)}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    address = httpx2.URL(f"{node.base}/").copy_with(raw_path=f"/gw/{here.system.slug}/http{target}".encode())
    return httpx2.request(method, address, content=content, headers=sent, timeout=waits.SECONDS)
