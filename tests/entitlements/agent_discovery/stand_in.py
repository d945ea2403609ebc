"""A server in the place of Okta, Microsoft or Fleet: it answers what a test says, and remembers what was asked."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests import waits

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One answer: JSON, or bytes as they are, or so many megabytes of a page that does not end."""

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    megabytes: int = 0
    links: tuple[str, ...] = ()


class StandIn:
    """`replies` holds by path and query what is answered one after the other, the last one for good."""

    def __init__(self) -> None:
        self.replies: defaultdict[str, list[Reply]] = defaultdict(list)
        self.asked: list[tuple[str, str, str]] = []
        self.forms: list[dict[str, str]] = []
        self.port = 0
        self.sent = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self, path: str, *replies: Reply) -> None:
        """Answer so below a path with its query."""
        self.replies[path] = list(replies)

    def paths(self) -> list[str]:
        """Return what was asked for, in order."""
        return [path for _method, path, _authorization in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; 404 for what no test named."""
        path = request.raw_path
        self.asked.append((request.method, path, request.headers.get("Authorization", "")))
        if request.method == "POST":
            self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        replies = self.replies.get(path) or [Reply(status=404, json={})]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.megabytes:
            return await self._endless(request, reply.megabytes)
        answer: web.Response
        if reply.raw is not None:
            answer = web.Response(body=reply.raw, status=reply.status, content_type="application/json")
        else:
            answer = web.json_response(reply.json, status=reply.status)
        answer.headers.extend(reply.headers)
        for link in reply.links:
            answer.headers.add("Link", link)
        return answer

    async def _endless(self, request: web.Request, megabytes: int) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for _ in range(megabytes):
            try:
                await answer.write(b" " * MEGABYTE)
            except ConnectionError:
                break
            self.sent += 1
        return answer


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run one while the block lasts."""
    there, started, loop = StandIn(), threading.Event(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", there.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        there.port = runner.addresses[0][1]
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.call_soon(started.set)  # not before the loop can be stopped
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(waits.SECONDS)
    try:
        yield there
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
