"""An upstream that does what no polite server does: it hangs, repeats secrets, breaks off. For faults only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from scripts.devservers import free_port
from tests import waits


class Scripted:
    """A modern or legacy server whose tool does what the argument `do` says; it notes what it was sent."""

    def __init__(self, *, is_modern: bool = True) -> None:
        self.is_modern = is_modern
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.sessions: list[str] = []
        self.dead: set[str] = set()
        self.deleted: list[str] = []
        self.meet_at_greeting: threading.Barrier | None = None
        self.cancelled = threading.Event()
        self.started = threading.Event()
        self.url = ""

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The calls of tools that arrived."""
        return [request for request in self.requests if request.get("method") == "tools/call"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.method == "DELETE":
            self.deleted.append(request.headers.get("mcp-session-id", ""))
            self.dead.add(self.deleted[-1])
            return web.Response(status=200)
        body = await request.json()
        self.requests.append(body)
        if "id" not in body:
            if body["method"] == "notifications/cancelled":
                self.cancelled.set()
            return web.Response(status=202)
        if not self.is_modern:
            session = request.headers.get("mcp-session-id", "")
            if body["method"] == "initialize":
                if self.meet_at_greeting is not None:
                    await asyncio.to_thread(self.meet_at_greeting.wait, 5)
                self.sessions.append(f"session-{len(self.sessions)}")
                said = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "serverInfo": {"name": "s", "version": "1"},
                }
                return self.result(body, said, {"Mcp-Session-Id": self.sessions[-1]})
            if session not in self.sessions or session in self.dead:
                return self.error(body, -32600, "Session not found", 404 if session else 400)
        told: dict[str, dict[str, Any]] = {
            "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {}},
            "tools/list": {"tools": []},
        }
        if body["method"] in told:
            return self.result(body, told[body["method"]])
        return await self.act(request, body, body["params"]["arguments"].get("do", "answer"))

    async def act(self, request: web.Request, body: dict[str, Any], do: str) -> web.StreamResponse:
        """Do what the argument says."""
        self.started.set()
        if do == "hang":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if do == "stream":
            return await self.stream(request, body)
        if do == "break":
            assert request.transport is not None
            request.transport.abort()
        if do == "repeat":
            return self.result(body, {"content": [{"type": "text", "text": request.headers["authorization"]}]})
        if do == "status":
            return web.Response(status=int(body["params"]["arguments"]["status"]), text="<html>")
        if do in ("rows", "fill"):
            rows = ["x"] * body["params"]["arguments"]["count"]
            structured = {"structuredContent": {"page": {"rows": rows}}} if do == "rows" else {}
            return self.result(body, {"content": [{"type": "text", "text": "".join(rows)}], **structured})
        if do == "ask":
            return self.result(body, {"resultType": "input_required", "requestState": "a b\u00e9=="})
        return self.result(body, {"content": [{"type": "text", "text": "done"}]})

    async def stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        """Send a progress note at once, a request of our own, and the answer a second later."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}
        ask = {"jsonrpc": "2.0", "id": 99, "method": "sampling/createMessage", "params": {}}
        for message in (note, ask):
            await answer.write(b"event: message\r\ndata: " + json.dumps(message).encode() + b"\r\n\r\n")
        await asyncio.sleep(1)
        done = {"jsonrpc": "2.0", "id": body["id"], "result": {"content": [], "resultType": "complete"}}
        await answer.write(b"data: " + json.dumps(done).encode() + b"\n\n")
        return answer

    @staticmethod
    def result(body: dict[str, Any], value: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
        """Return a result."""
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": value}, headers=headers)

    @staticmethod
    def error(body: dict[str, Any], code: int, message: str, status: int) -> web.Response:
        """Return an error."""
        answer = {"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": message}}
        return web.json_response(answer, status=status)


@contextlib.contextmanager
def upstream(*, is_modern: bool = True, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Serve on loopback in a thread until the block ends, with `tls` by https."""
    server, app = Scripted(is_modern=is_modern), web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    with served(app, tls) as port:
        server.url = f"{'https' if tls else 'http'}://localhost:{port}/mcp"
        yield server


@contextlib.contextmanager
def served(app: web.Application, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve an application on loopback in a thread until the block ends; yields its port."""
    port, loop = free_port(), asyncio.new_event_loop()
    is_up = threading.Event()

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "localhost", port, ssl_context=tls).start()
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        is_up.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_up.wait(waits.SECONDS)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(waits.SECONDS)
