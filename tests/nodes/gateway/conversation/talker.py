"""A server that says what a test tells it: on the stream of a call, on that of a session, to who listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests import waits
from tests.nodes.gateway import scripted

ANSWER_SECONDS = 10


class Talker:
    """A server of one era. `heard` are the messages that arrived, in order."""

    def __init__(self, *, is_modern: bool) -> None:
        self.is_modern = is_modern
        self.url = ""
        self.heard: list[dict[str, Any]] = []
        self._streams: list[web.StreamResponse] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions = 0
        self._came = asyncio.Event()

    def answers(self) -> list[dict[str, Any]]:
        """Return the answers to what it asked."""
        return [message for message in self.heard if "method" not in message]

    def asked(self, method: str) -> list[dict[str, Any]]:
        """Return the params of the requests with a method."""
        return [message["params"] for message in self.heard if message.get("method") == method]

    @property
    def is_listened_to(self) -> bool:
        """Whether a stream is open."""
        return bool(self._streams)

    def say(self, *messages: dict[str, Any]) -> None:
        """Say something on each stream that is open."""
        assert self._loop is not None
        for message in messages:
            asyncio.run_coroutine_threadsafe(self._say(message), self._loop).result(waits.SECONDS)

    async def _say(self, message: dict[str, Any]) -> None:
        for stream in self._streams:
            await stream.write(event(message))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self._loop = asyncio.get_running_loop()
        if request.method == "GET":
            return await self._keep(request)
        if request.method == "DELETE":
            return web.Response()
        message = await request.json()
        self.heard.append(message)
        self._came.set()
        method = message.get("method")
        if "id" not in message or method is None:
            return web.Response(status=202)
        if method == "tools/call":
            return await self._call(request, message)
        return await self._keep(request, message["id"]) if method == "subscriptions/listen" else self._told(message)

    def _told(self, message: dict[str, Any]) -> web.StreamResponse:
        method = message["method"]
        said: dict[str, Any] = {}
        headers = {}
        if method == ("initialize" if self.is_modern else "server/discover"):
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Unknown."}}
            return web.json_response(error, status=404)
        if method == "initialize":
            self._sessions += 1
            headers = {"Mcp-Session-Id": f"talk-{self._sessions}"}
            said = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "t", "version": "1"}}
        elif method == "server/discover":
            said = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": said}, headers=headers)

    async def _keep(self, request: web.Request, number: int | None = None) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        if number is not None:
            await stream.write(event({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"}))
        self._streams.append(stream)
        try:
            await asyncio.sleep(60)
        finally:
            self._streams.remove(stream)
        return stream

    async def _call(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        """Say the messages that the arguments hold, wait for as many answers as there are requests, and tell them."""
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"id: 1\ndata: \n\n")  # by which a client could resume
        said = message["params"]["arguments"]["say"]
        before, expected = len(self.answers()), sum("id" in each for each in said)
        for each in said:
            await stream.write(event(each))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(self.answers()) < before + expected:
                    await self._came.wait()
                    self._came.clear()
        told = {"content": [{"type": "text", "text": json.dumps(self.answers()[before:])}], "resultType": "complete"}
        await stream.write(event({"jsonrpc": "2.0", "id": message["id"], "result": told}))
        return stream


def event(message: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


@contextlib.contextmanager
def talking(*, is_modern: bool) -> Iterator[Talker]:
    """Serve on loopback in a thread until the block ends."""
    talker, app = Talker(is_modern=is_modern), web.Application()
    app.router.add_route("*", "/mcp", talker.handle)
    with scripted.served(app) as port:
        talker.url = f"http://localhost:{port}/mcp"
        yield talker
