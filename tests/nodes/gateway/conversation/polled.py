"""A server of 2025-11-25 that closes its streams and has its clients ask again, as the arguments of a call tell it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.nodes.gateway import scripted

RETRY_SECONDS = 0.2
CLOSE, CUT, HOLD, REFUSE, BREAK = "close", "cut", "hold", "refuse", "break"
"""End the stream as a server does; lose the connection; wait for the test; know nothing of it; fail once."""


class Polled:
    """It keeps what it says in each stream. `asked_again` are the ids that its clients named, and when."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.asked_again: list[tuple[str, float]] = []
        self.closed: list[float] = []
        self.is_listened_to = False
        self._streams: dict[str, list[Any]] = {"session": []}
        self._goes_on = asyncio.Event()
        self._said = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def go_on(self) -> None:
        """Let what holds go on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._goes_on.set)

    def say(self, message: dict[str, Any]) -> None:
        """Say something in the stream of the session, to who listens now or later."""
        assert self._loop is not None
        self._streams["session"].append(message)
        self._loop.call_soon_threadsafe(self._said.set)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self._loop = asyncio.get_running_loop()
        if request.method == "GET":
            return await self._get(request)
        if request.method == "DELETE":
            return web.Response()
        message = await request.json()
        if "id" not in message or "method" not in message:
            return web.Response(status=202)
        if message["method"] == "tools/call":
            self.calls += 1
            self._goes_on.clear()
            result = {"content": [{"type": "text", "text": "done"}]}
            answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            name = f"call{self.calls}"
            self._streams[name] = [*message["params"]["arguments"]["script"], answer]
            return await self._write(request, name, 0)
        if message["method"] != "initialize":
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Unknown."}}
            return web.json_response(error, status=404)
        said = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "p", "version": "1"}}
        return web.json_response(
            {"jsonrpc": "2.0", "id": message["id"], "result": said}, headers={"Mcp-Session-Id": "polled"}
        )

    async def _get(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID", "")
        if not last:
            self.is_listened_to = True
            return await self._write(request, "session", len(self._streams["session"]))
        self.asked_again.append((last, time.monotonic()))
        name, _, after = last.partition("/")
        script, at = self._streams[name], int(after)
        if script[at : at + 1] in ([CLOSE], [CUT]):
            at += 1
        if script[at] == REFUSE:
            return web.Response(status=400)
        if script[at] == BREAK:
            script[at] = CLOSE
            return web.Response(status=503)
        return await self._write(request, name, at)

    async def _write(self, request: web.Request, name: str, at: int) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(f"id: {name}/{at}\nretry: {round(RETRY_SECONDS * 1000)}\ndata: \n\n".encode())
        script = self._streams[name]
        try:
            while True:
                while at < len(script):
                    step = script[at]
                    if isinstance(step, dict):
                        await stream.write(f"id: {name}/{at + 1}\ndata: {json.dumps(step)}\n\n".encode())
                    elif step == HOLD:
                        await self._goes_on.wait()
                    else:
                        self.closed.append(time.monotonic())
                        if step == CUT and request.transport is not None:
                            request.transport.abort()
                        return stream
                    at += 1
                if name != "session":
                    return stream
                self._said.clear()
                await self._said.wait()
        finally:
            self.is_listened_to = self.is_listened_to and name != "session"


@contextlib.contextmanager
def polled() -> Iterator[Polled]:
    """Serve on loopback in a thread until the block ends."""
    server, app = Polled(), web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    with scripted.served(app) as port:
        server.url = f"http://localhost:{port}/mcp"
        yield server
