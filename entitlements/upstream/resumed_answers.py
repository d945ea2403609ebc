"""The rest of an answer whose stream ended before it came: by a GET that names its last event (MCP 2025-11-25).

A server may close a stream and have its client ask again (SEP-1699); a connection may also be lost. Either way what
followed is asked for in the same session, after the time that the server named, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import aiohttp

from . import mcp_headers, upstream
from .egress import Unreachable
from .endpoint import Answer
from .upstream import Conversation, Progress

MOST_TIMES: Final = 500
"""How often one answer is asked for again."""
MOST_FAILURES: Final = 5
"""How often in a row that may fail."""
_LEAST_SECONDS: Final = 0.05
_EVENTS: Final = "text/event-stream"


async def finish[T](
    conversation: Conversation,
    http: aiohttp.ClientSession,
    progress: Progress,
    take: Callable[[bytes], Awaitable[T | None]],
    closed: Callable[[Progress], Awaitable[None]],
) -> T:
    """Read on, stream by stream, until `take` returns something; `closed` hears of each that its server ended.

    Raises Unreachable where the server does not go on, which says nothing of what became of the request; and what
    `upstream.first` and `Conversation.get` raise.
    """
    failures, lost = 0, Unreachable("The system ended its answer too early.")
    for _ in range(MOST_TIMES):
        if not progress.last_id or failures >= MOST_FAILURES:
            break
        await asyncio.sleep(max(progress.again, _LEAST_SECONDS))
        before = progress.count
        try:
            found = await _again(conversation, http, progress, take)
        except (aiohttp.ClientError, OSError) as why:
            failures = failures + 1 if progress.count == before else 0
            lost = Unreachable("The connection to the system was lost.")
            lost.__cause__ = why
            continue
        if found is not None:
            return found
        failures = 0
        await closed(progress)
    raise lost


async def _again[T](
    conversation: Conversation,
    http: aiohttp.ClientSession,
    progress: Progress,
    take: Callable[[bytes], Awaitable[T | None]],
) -> T | None:
    async def read(answer: Answer) -> T | None:
        if answer.status // 100 == 5:  # noqa: PLR2004 - HTTP's class of failures that may pass
            raise aiohttp.ClientPayloadError
        if answer.status != HTTPStatus.OK or answer.content_type != _EVENTS:
            raise Unreachable("The system does not go on with its answer.")
        return await upstream.first(answer, take, progress=progress)

    headers = conversation.headers() | {"Accept": _EVENTS, mcp_headers.LAST_EVENT: progress.last_id}
    del headers["Content-Type"]
    return await conversation.get(http, headers, read)
