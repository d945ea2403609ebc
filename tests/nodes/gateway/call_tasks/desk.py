"""Servers with tasks of either era, and what a client of 2026 asks about them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2
from aiohttp import web

from scripts.devservers import free_port
from tests import waits
from tests.conformance import nodejs, servers
from tests.nodes.gateway import scripted
from tests.nodes.gateway.primitives import desk

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

EXAMPLES: Final = "@modelcontextprotocol/sdk/dist/esm/examples"
TASKS: Final[dict[str, Any]] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@dataclass(frozen=True)
class Server:
    """A running server with the extension."""

    base: str

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    def seen(self) -> list[str]:
        return list(self._told()["arrived"])

    def tasks(self) -> dict[str, str]:
        """Return the status of each task by the server's own id, in the order in which they were made."""
        return dict(self._told()["tasks"])

    def _told(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base}/seen", timeout=waits.SECONDS) as answer:  # noqa: S310 - our own loopback address
            return dict(json.load(answer))


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run the server of 2026."""
    base = f"http://localhost:{(port := free_port())}"
    with servers.serving(["-m", "tests.conformance.tasks_server", str(port)], f"{base}/healthz"):
        yield Server(base)


@contextlib.contextmanager
def example(name: str) -> Iterator[str]:
    """Run an example server of version 1 of the TypeScript SDK, unmodified, and yield its address."""
    port = free_port()
    program = nodejs.modules() / EXAMPLES / "server" / name
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "MCP_PORT": str(port)}
    command = [nodejs.program(), program]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        waits.until(lambda: servers.accepts(port), child)
        yield f"http://localhost:{port}/mcp"
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def lying() -> Iterator[str]:
    """Serve a server of 2026 that makes a task of every call, with the id that it is told, and mixes tasks up."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        task = {"status": "working", "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z"}
        said: dict[str, Any] = {"supportedVersions": ["2026-07-28"], "capabilities": TASKS}
        if body["method"] == "tools/call":
            said = {**task, "resultType": "task", "taskId": body["params"]["arguments"]["id"]}
        elif body["method"] == "tasks/get":
            said = {**task, "resultType": "complete", "taskId": "another"}
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": said})

    app = web.Application()
    app.router.add_route("POST", "/mcp", handle)
    with scripted.served(app) as port:
        yield f"http://localhost:{port}/mcp"


def ask(
    node: Gateway, here: World, method: str, *, slug: str = "", declared: Mapping[str, Any] = TASKS, **params: object
) -> httpx2.Response:
    """Send a request of 2026 by a client that understands tasks, unless it declares something else."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    meta = {**world.META, "io.modelcontextprotocol/clientCapabilities": declared}
    name = params.get("name", params.get("taskId"))
    token = desk.token(here)
    return node.modern(slug or here.system.slug, method, token, headers={"Mcp-Name": str(name)}, _meta=meta, **params)


def call(node: Gateway, here: World, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool by a client that understands tasks, and return the result."""
    return dict(ask(node, here, "tools/call", name=tool, arguments=arguments).json()["result"])


def finished(node: Gateway, here: World, name: str) -> dict[str, Any]:
    """Ask about a task until it is over."""

    def ended() -> dict[str, Any]:
        state = dict(ask(node, here, "tasks/get", taskId=name).json()["result"])
        return {} if state["status"] == "working" else state

    return waits.until(ended)
