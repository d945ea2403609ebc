"""The stream of a legacy client's own session with an upstream, read where the client's stream is, and passed on.

Where it ends or is lost, it is asked for again from its last event on, if the upstream gives its events ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from entitlements.gateway.conversation import replies
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.conversation.server_messages import Beside
from entitlements.gateway.leaked_secrets import leaks
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused
from entitlements.node.upstreams import Connection
from entitlements.upstream import authorization, egress, mcp_headers, sse, upstream

LISTS_TOOLS: Final = b"notifications/tools/list_changed"
AGAIN_SECONDS: Final = 2.0
"""Seconds until a stream that ended, or that another node has open, is asked for again."""
_LEAST_AGAIN: Final = 0.1
TOUCH_SECONDS: Final = 60.0
"""How long it may be silent until the session is noted as used."""
_NOT_GONE_ON: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""What says that the system does not know the last event any more: its stream begins again."""
FAILURES: Final = (
    aiohttp.ClientError, TimeoutError, OSError, Closed, Refused, egress.Unreachable, egress.ForbiddenAddress,
    sse.TooLarge, msgspec.MsgspecError, RecursionError, ValueError,
)  # fmt: skip
"""What ends hearing a system for the moment: it is tried again, and the client's own stream goes on."""


class _HasNone(Exception):
    """The upstream has no stream of a session."""


@dataclass(slots=True)
class Following:
    """One stream of a client, for which that of its session with the upstream is read."""

    node: Node
    about: CallDetails
    entry: ServedSystem
    session: ClientSession
    event: Callable[[bytes], Awaitable[None]]
    """Sends the client a message."""
    progress: upstream.Progress
    """How far the stream was read, by this node or the one before."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what the system says from now on is heard, or cannot be."""

    async def follow(self) -> None:
        """Read and pass on for as long as the client listens; what fails is tried again. Raises SecretInAnswer."""
        try:
            await self._follow()
        finally:
            self.ready.set()

    async def _follow(self) -> None:
        if self.entry.command is not None or self.entry.operations is not None or not self.entry.target.url:
            return
        beside, again = Beside(self.node, self.about, self.entry, self.session, is_stream=True), 0.0
        while True:
            await asyncio.sleep(again)
            again = AGAIN_SECONDS
            try:
                connection = await self._connection()
                if connection.conversation.is_modern or not connection.conversation.session:
                    return
                await self._read(connection, beside)
                again = max(self.progress.again, _LEAST_AGAIN) if self.progress.last_id else AGAIN_SECONDS
            except _HasNone:
                return
            except FAILURES:
                pass  # the client's own stream goes on, and its calls say what is wrong
            self.ready.set()

    async def begun(self, connection: Connection) -> None:
        """Do what is due as soon as the upstream's stream is open: nothing."""

    async def _admit(self) -> None:
        """Raise Refused without access: at the address of all systems a stream outlives its client's rights at one."""
        verdict, _ = await self.node.admits(self.about.bearer.asks(self.entry.slug))
        if not verdict.allowed:
            raise Refused(verdict.code, verdict.sentence)

    async def _connection(self) -> Connection:
        node, bearer, entry = self.node, self.about.bearer, self.entry
        await self._admit()
        account = await replies.account_of(node, bearer, entry)
        return await node.upstreams.get(entry, bearer, node.feed.position, account, self.session.offers)

    async def _read(self, connection: Connection, beside: Beside) -> None:
        """Pass one stream on until it ends. Raises _HasNone where the upstream has none, and what `FAILURES` names."""
        conversation, progress = connection.conversation, self.progress
        headers = conversation.headers() | {"Accept": "text/event-stream"}
        headers |= {mcp_headers.LAST_EVENT: progress.last_id} if progress.last_id else {}
        target = conversation.target
        headers |= await target.authorization.headers(authorization.Request("GET", target.url, headers))
        waits = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with connection.http.get(target.url, headers=headers, allow_redirects=False, timeout=waits) as answer:
            if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
                raise _HasNone
            if answer.status != HTTPStatus.OK or answer.content_type != "text/event-stream":
                progress.last_id = "" if answer.status in _NOT_GONE_ON else progress.last_id
                raise egress.Unreachable(status=answer.status)
            await self.begun(connection)
            self.ready.set()
            reader = sse.Reader(upstream.LARGEST_MESSAGE)
            while True:
                try:
                    async with asyncio.timeout(TOUCH_SECONDS):
                        chunk = await answer.content.readany()
                except TimeoutError:
                    await self._connection()
                    continue
                if not chunk:
                    return
                for data in filter(None, reader.feed(chunk)):
                    await self._take(data, connection, beside)
                progress.note(reader)

    async def _take(self, data: bytes, connection: Connection, beside: Beside) -> None:
        await self._admit()
        marks = await self.node.secrets.current()
        leaks.refuse(marks.owners_in_json(data), is_over=False)
        cleaned = connection.conversation.target.authorization.removed_from(data)
        said = await beside.hear(msgspec.json.encode(msgspec.json.decode(cleaned)), connection, {})
        if LISTS_TOOLS in cleaned:
            self.node.definitions.changed(self.entry.slug)
        if said is not None:
            await self.event(said)
