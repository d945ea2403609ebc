"""A desk at which the suite's scenario servers become systems behind the gateway: listed, approved, granted."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx2
from django.db import connections

from audit.context import SYSTEM
from tests import waits

if TYPE_CHECKING:
    from entitlements.catalog.models import Tool
    from tests.nodes.gateway.world import World


@dataclass
class Desk:
    """The systems that stand ready, by the name of their world, and the address of the gateway that serves them.

    `left_out` collects by that name what discovery did not take in, with the reason.
    """

    worlds: Mapping[str, World]
    base: str
    left_out: dict[str, dict[str, str]] = field(default_factory=dict)

    def register(self, name: str, address: str) -> str:
        """Let the system of a world be at this address, and return where the gateway serves it."""
        from entitlements.catalog import discovery, systems  # noqa: PLC0415 - the settings are known only now
        from entitlements.upstream import upstream  # noqa: PLC0415
        from tests import make  # noqa: PLC0415

        here = self.worlds[name]
        system = systems.edit_system(here.system, upstream_url=address, reason="the suite says so", by=SYSTEM)
        listed = asyncio.run(upstream.discover(system))
        found = discovery.record_discovery(system, listed, by=SYSTEM)
        self.left_out[name] = found.malformed
        tools = [approve(tool) for tool in system.tools.filter(name__in=found.added)]
        if tools:
            every = make.entitlement(system, *tools, scope=f"{system.slug}:every")
            make.grant(here.agent, every, people=[here.person])
        served = f"{self.base}/gw/{system.slug}/mcp"
        wanted = {tool.name for tool in tools if is_listed(tool)}
        waits.until(lambda: wanted <= listed_by(served))
        return served


def approve(tool: Tool) -> Tool:
    """Approve a tool as a person does who has read it."""
    from entitlements.catalog import tools  # noqa: PLC0415 - the settings are known only now

    assert tool.seen is not None
    approval = tools.Approval(tool, tool.seen.sha256, f"Does {tool.name}.", "read", "low")
    return tools.approve_tool(approval, by=SYSTEM)


def is_listed(tool: Tool) -> bool:
    """Whether clients are shown an approved row by `tools/list`."""
    from entitlements.upstream import mcp_headers  # noqa: PLC0415 - the settings are known only now

    assert tool.approved is not None
    return tool.primitive == "tool" and mcp_headers.annotated(tool.approved.definition["inputSchema"]) is not None


def listed_by(served: str) -> set[str]:
    """Return the tools that the gateway lists, to a client whose token is added on the way."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    headers = {"MCP-Protocol-Version": world.MODERN, "Mcp-Method": "tools/list"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": world.META}}
    answer = httpx2.post(served, json=body, headers={**headers, "Accept": "application/json, text/event-stream"})
    return {tool["name"] for tool in answer.json().get("result", {}).get("tools", [])}


@contextlib.contextmanager
def open_desk(desk: Desk) -> Iterator[str]:
    """Run the desk until the block ends, and yield its address: `POST /<world>` registers what the body names."""

    class Counter(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            address = self.rfile.read(int(self.headers["Content-Length"])).decode()
            try:
                served, status = desk.register(self.path.removeprefix("/"), address), 200
            except Exception:  # noqa: BLE001 - the suite keeps what the command writes
                served, status = traceback.format_exc(), 500
            finally:
                connections.close_all()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(served.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
