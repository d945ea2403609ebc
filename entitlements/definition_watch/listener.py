"""One connection to a system on which it says that its list of tools changed, in either era of the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from entitlements import strict
from entitlements.upstream import authorization, egress, sse, upstream
from entitlements.upstream.endpoint import Answer
from entitlements.upstream.relayed import Dial
from entitlements.upstream.upstream import Conversation, Target

LIST_CHANGED: Final = "notifications/tools/list_changed"
SECONDS: Final = 900.0
"""How long one connection lasts. The next one begins with a comparison."""
_SOON: Final = 5.0
_LISTEN: Final = "subscriptions/listen"
_REFUSED: Final = (egress.Unreachable, egress.ForbiddenAddress, sse.TooLarge, strict.NotStrictJson)
UNHEARD: Final = (*_REFUSED, aiohttp.ClientError, msgspec.MsgspecError, OSError, ValueError)
"""What ends a connection to a system beside its time."""

type Said = Callable[[], None]


class NotOffered(egress.Unreachable):
    """The system offers no stream on which it says that its tools changed."""


class _Message(msgspec.Struct):
    method: str = ""


_read: Final = msgspec.json.Decoder(_Message)


async def listen(target: Target, dial: Dial | None, begun: Said, changed: Said) -> None:
    """Listen to a system until the connection ends. `begun` is called when it listens, `changed` when it says so.

    Raises NotOffered, and what UNHEARD names.
    """
    async with egress.client(connections=2, seconds=SECONDS, network=target.network, dial=dial) as http:
        async with asyncio.timeout(upstream.DISCOVERY_SECONDS):
            conversation = await upstream.begin(http, target)

        async def hear(text: bytes) -> None:
            if _read.decode(text).method == LIST_CHANGED:
                changed()

        async def take(answer: Answer) -> None:
            if answer.status != HTTPStatus.OK or answer.content_type != "text/event-stream":
                raise NotOffered(status=answer.status)
            begun()
            await upstream.first(answer, hear)

        try:
            await (_listen_modern if conversation.is_modern else _listen_legacy)(http, conversation, take)
        except TimeoutError:
            return  # its time is over
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SOON):
                    await conversation.end(http)


type Take = Callable[[Answer], Awaitable[None]]


async def _listen_modern(http: aiohttp.ClientSession, conversation: Conversation, take: Take) -> None:
    """Subscribe to the changes of the list of tools, and to nothing else (MCP 2026-07-28, subscriptions)."""
    body = conversation.body(1, _LISTEN, {"notifications": {"toolsListChanged": True}})
    await conversation.post(http, conversation.headers(_LISTEN), body, take)


async def _listen_legacy(http: aiohttp.ClientSession, conversation: Conversation, take: Take) -> None:
    """Open the stream of a session on which the server speaks unasked (MCP 2025-11-25, transports)."""
    own = {name: value for name, value in conversation.headers().items() if name != "Content-Type"}
    own["Accept"] = "text/event-stream"
    request = authorization.Request("GET", conversation.target.url, own)
    headers = own | await conversation.target.authorization.headers(request)
    await conversation.endpoint.get(http, headers, take)
