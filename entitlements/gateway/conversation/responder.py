"""How one request is answered: as plain JSON if the answer comes at once and alone, else as a stream of events."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from entitlements.gateway.http import Answer, Send
from entitlements.upstream import sse

KEEP_ALIVE_SECONDS: Final = 15.0
HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Responder:
    """Answers one request: as plain JSON if the answer comes at once and alone, else as a stream of events."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_streaming = False
        self._is_finished = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    def keep_alive(self) -> None:
        """From now on, send a comment whenever the upstream is silent for long."""
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._start_keeping)

    async def event(self, message: bytes) -> None:
        """Send one message of the stream."""
        await self._begin()
        await self._send({"type": "http.response.body", "body": sse.event(message), "more_body": True})

    async def finish(self, answer: Answer) -> None:
        """Send the last message and end; its status counts only if nothing was sent before."""
        self.close()
        if self._is_finished:
            return
        self._is_finished = True
        if self._is_streaming:
            await self._send({"type": "http.response.body", "body": sse.event(answer.body)})
            return
        length = (b"content-length", str(len(answer.body)).encode())
        await self._send({"type": "http.response.start", "status": answer.status, "headers": [*answer.headers, length]})
        await self._send({"type": "http.response.body", "body": answer.body})

    def close(self) -> None:
        """Stop the comments."""
        if self._timer is not None:
            self._timer.cancel()
        if self._keeper is not None:
            self._keeper.cancel()

    def _start_keeping(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        await self._begin()
        while True:
            await self._send({"type": "http.response.body", "body": sse.KEEP_ALIVE, "more_body": True})
            await asyncio.sleep(KEEP_ALIVE_SECONDS)

    async def _begin(self) -> None:
        if not self._is_streaming:
            self._is_streaming = True
            await self._send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": HEADERS})
