"""How one request is answered: as plain JSON if the answer comes at once and alone, else as a stream of events.

A legacy client's stream is kept while it lasts (`kept_streams`): who lost it comes back with the id of its last event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from entitlements.gateway.exchange import Exchange
from entitlements.gateway.http import Answer, Send
from entitlements.gateway.messages import Call
from entitlements.gateway.resumption.kept_streams import CallAsked, KeptStream
from entitlements.upstream import sse

KEEP_ALIVE_SECONDS: Final = 15.0


class Responder:
    """Answers one request. `kept` is the stream that its client may come back for, where it is one of a session."""

    def __init__(self, send: Send, kept: KeptStream | None = None, *, prefers_events: bool = False) -> None:
        self._send = send
        self._kept = kept
        self._prefers_events = prefers_events
        self._beginning = asyncio.Lock()
        self._is_streaming = False
        self._is_left = False
        self._is_finished = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    def keep_alive(self) -> None:
        """From now on, send a comment whenever the upstream is silent for long."""
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._start_keeping)

    async def event(self, message: bytes) -> None:
        """Send one message of the stream."""
        await self._begin()
        await self._say(message)

    async def pause(self, seconds: float) -> None:
        """Close the stream of a client that can come back, which it is to do after so long (SEP-1699)."""
        if self._kept is None or self._is_left:
            return
        await self._begin()
        if not self._kept.is_polled or not self._kept.id:
            return
        await self._kept.flush()
        self.close()
        self._is_left = True
        last = f"retry: {round(seconds * 1000)}\n\n".encode()
        await self._send({"type": "http.response.body", "body": last})

    async def finish(self, answer: Answer) -> None:
        """Send the last message and end; its status counts only if nothing was sent before."""
        self.close()
        if self._is_finished:
            return
        self._is_finished = True
        if self._is_streaming:
            await self._say(answer.body, is_last=True)
            if self._kept is not None:
                await self._kept.flush(is_last=True)
            return
        await self._send_whole(answer)

    async def _say(self, message: bytes, *, is_last: bool = False) -> None:
        number = "" if self._kept is None else self._kept.keep(message)
        if not self._is_left:
            more = {} if is_last else {"more_body": True}
            await self._send({"type": "http.response.body", "body": sse.event(message, number), **more})

    async def _send_whole(self, answer: Answer) -> None:
        answer = answer.as_event() if self._prefers_events else answer
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
        async with self._beginning:
            if self._is_streaming:
                return
            if self._kept is not None and not await self._kept.begin():
                self._kept = None
            self._is_streaming = True
            await self._send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": sse.HEADERS})
            if self._kept is not None and (beginning := self._kept.beginning()):
                await self._send({"type": "http.response.body", "body": beginning, "more_body": True})


def responder_of(exchange: Exchange, system: str, tool: str, arguments: Mapping[str, Any], call: Call) -> Responder:
    """Return what answers a call of a tool, or another request that is decided as one."""
    session = exchange.session
    if session is None:
        return Responder(exchange.request.send)
    asked = CallAsked(system, tool, dict(arguments), call.request_id)
    kept = KeptStream(exchange.node, session, asked)
    return Responder(exchange.request.send, kept, prefers_events=exchange.request.prefers_events)
