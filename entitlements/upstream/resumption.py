"""An answer that is taken up again: a legacy server may end the stream of a request before its answer.

It has then named an event, after which the rest is asked for by a GET, and may have said how long to wait before that
(MCP 2025-11-25, transports, resumability). The protocol of 2026-07-28 knows no such thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import aiohttp

from . import sse, upstream
from .egress import Unreachable
from .endpoint import Answer
from .upstream import Conversation

LEAST_SECONDS: Final = 0.5
"""What is waited at least, whatever the server says: each GET costs both sides."""
USUAL_SECONDS: Final = 1.0
"""What is waited where the server says nothing."""

type Take[T] = Callable[[bytes], Awaitable[T | None]]


async def first[T](conversation: Conversation, answer: Answer, reader: sse.Reader, take: Take[T]) -> T | None:
    """Do as `upstream.first`; None for a stream that ended or broke off where it can be taken up again.

    Raises Unreachable where it cannot, and what `upstream.first` raises.
    """
    broken = None
    try:
        found = await upstream.first(answer, take, reader)
    except aiohttp.ClientError as why:
        found, broken = None, why
    if found is None and (conversation.is_modern or not reader.last_id):
        raise broken or Unreachable("The system ended its answer too early.", status=answer.status)
    return found


async def rest[T](http: aiohttp.ClientSession, conversation: Conversation, reader: sse.Reader, take: Take[T]) -> T:
    """Ask for the rest of a stream until `take` returns something, for as long as one request may take in all.

    Raises Unreachable and TimeoutError: then it is not known what became of the request.
    """

    async def read(answer: Answer) -> T | None:
        if answer.status != HTTPStatus.OK:
            raise Unreachable("The system did not let its answer be taken up again.")
        return await first(conversation, answer, reader, take)

    async with asyncio.timeout(http.timeout.total):
        while True:
            await asyncio.sleep(wait_of(reader))
            sent = conversation.headers() | headers(reader)
            reader.begin()
            found = await conversation.get(http, sent, read)
            if found is not None:
                return found


def headers(reader: sse.Reader) -> dict[str, str]:
    """Return what asks for a stream, or for the rest of one."""
    return {"Accept": "text/event-stream", **({"Last-Event-ID": reader.last_id} if reader.last_id else {})}


def wait_of(reader: sse.Reader) -> float:
    """Return how many seconds to wait until a stream is asked for again."""
    return USUAL_SECONDS if reader.retry is None else max(LEAST_SECONDS, reader.retry / 1000)
