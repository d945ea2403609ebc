"""What concerns no one request of a legacy client's session, on the stream that it opened with GET.

While the client is gone the stream is kept for a while, and read on: lists, and what the system says. Where the client
opens another, or comes back, here or at another node, that one takes over from where this one stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from entitlements.definitions import primitives
from entitlements.gateway.conversation import followed_systems
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.http import Request
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.resumption.kept_streams import Ended, KeptStream
from entitlements.gateway.resumption.resumption import KeptEvents, StreamEnded
from entitlements.keys import in_use
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed
from entitlements.node.snapshots import SnapshotInUse
from entitlements.node.streams import SESSION_OVER, OpenRequest, ToolList
from entitlements.node_messages.messages import BoxFull
from entitlements.upstream import sse, upstream

KEEP_ALIVE_SECONDS: Final = 10.0
LEFT_SECONDS: Final = 60.0
"""How long a stream goes on whose client has gone."""
_ENDED_SECONDS: Final = 3600.0
"""How long it is known of a stream that ended where it stood."""
MOST_LEFT: Final = 500
MOST_LEFT_OF_AN_AGENT: Final = 20
READY_SECONDS: Final = 1.0
"""How long a stream waits to begin until what the system says is heard."""
TAKEN_OVER_SECONDS: Final = 2.5
"""How long it waits for the node that had the stream before to say where it stands."""
_READ_SECONDS: Final = 300.0
"""How long after that it hears what that node still keeps: it may not know yet that its client has gone."""
_left: Counter[str] = Counter()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(float).decode


@dataclass(slots=True)
class SessionStream:
    """One stream of a session, at this node; `earlier` is the one that its client comes back for."""

    node: Node
    request: Request
    entry: ServedSystem
    session: ClientSession
    opened: OpenRequest
    about: CallDetails
    earlier: KeptEvents | None = None
    kept: KeptStream = field(init=False)
    _progress: upstream.Progress = field(default_factory=upstream.Progress)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Future[Ended] = field(default_factory=asyncio.Future)
    _leaked: asyncio.Future[None] = field(default_factory=asyncio.Future)
    _is_left: bool = False
    _began: float = 0.0

    def __post_init__(self) -> None:
        """Keep what is said."""
        self.kept = KeptStream(self.node, self.session)

    async def run(self, held: SnapshotInUse | None) -> None:
        """Say what there is to say until the client leaves, and keep it for a while after that. Raises Closed."""
        try:
            await self.kept.begin()
            await self._tell_others()
            if self.earlier is None:
                await self._listen()
            await self._begin()
            if self.earlier is not None:
                await self._take_over(self.earlier, held)
            else:
                await self.node.look_at_tools(self.opened, held)
            await self._until_gone()
            await self._go_on()
        except leaks.SecretInAnswer as why:
            self.node.recorder.eventually(leaks.event(self.about, why.owners))
            await self._hand_over(is_lost=True)
            if not self._is_left:
                await self.request.send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if self.opened.stop != SESSION_OVER:  # as a node that stops does
                await self._hand_over()
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    async def event(self, message: bytes) -> None:
        """Send the client a message, and keep it."""
        await self._has_begun.wait()
        if self.kept.is_long and self.kept.id:
            before, self.kept = self.kept, KeptStream(self.node, self.session)
            await self.kept.begin()
            await before.end(Ended(next=self.kept.box), _ENDED_SECONDS)
        await self._send(sse.event(message, self.kept.keep(message)))

    async def _send(self, body: bytes) -> None:
        if not self._is_left:
            await self.request.send({"type": "http.response.body", "body": body, "more_body": True})

    async def _begin(self) -> None:
        await self.request.send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": sse.HEADERS})
        await self._send(self.kept.beginning() or sse.KEEP_ALIVE)
        self._has_begun.set()

    async def _listen(self) -> None:
        """Hear what the system says from now on; return when it is heard, or after a moment."""
        follows = followed_systems.choose(self.node, self.about, self.entry, self.session, self.event, self._progress)
        self._tasks.append(asyncio.create_task(self._follow(follows)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                await follows.ready.wait()

    async def _follow(self, follows: followed_systems.HearsSystems) -> None:
        try:
            await follows.follow()
        except leaks.SecretInAnswer as why:
            self._leaked.set_exception(why)

    # --------------------------------------------------------------------------------------------- from node to node

    @property
    def _others(self) -> UUID:
        """The box by which the streams of this session know of each other."""
        return uuid5(self.session.id, "streams")

    async def _tell_others(self) -> None:
        """Say when this stream begins: what another one keeps for its client comes to an end."""
        self._began = self.node.now()
        with contextlib.suppress(Closed, BoxFull, in_use.KeyMissing):
            await self.node.messages.put(self._others, _encode(self._began), 2 * LEFT_SECONDS)

    async def _is_taken_over(self) -> None:
        """Return when another stream of this session has begun after this one."""
        async for _, body in self.node.messages.follow(self._others):
            if _decode(body) > self._began:
                return

    async def _take_over(self, earlier: KeptEvents, held: SnapshotInUse | None) -> None:
        """Say what was kept of the stream before, then go on from where that one stood."""
        self._tasks.append(asyncio.create_task(self._repeat(earlier)))
        done, _ = await asyncio.wait({self._ended}, timeout=TAKEN_OVER_SECONDS)
        ended = self._ended.result() if done else Ended()
        self._progress.last_id = ended.upstream
        await self._listen()
        await self.node.look_at_tools(self.opened, held)
        now, before = self._listed(), ended.listed or {}
        for kind in sorted(now.keys() | before.keys()):
            if now.get(kind) != before.get(kind):
                await self.event(changed(kind))

    def _listed(self) -> dict[str, str]:
        """Return a digest of each list as the client last saw it, by its kind."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for name, version in self._tools.seen or ():
            rows.setdefault(primitives.CAPABILITY[primitives.of_name(name)], []).append((name, version))
        return {kind: hashlib.sha256(_encode(sorted(of_kind))).hexdigest() for kind, of_kind in rows.items()}

    async def _repeat(self, earlier: KeptEvents) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                async for _, message in earlier.events():
                    await self.event(message)
        except StreamEnded as why:
            if not self._ended.done():
                self._ended.set_result(why.ended)
        except (TimeoutError, Closed):
            return

    async def _hand_over(self, *, is_lost: bool = False) -> None:
        """Say where this stream stands, for the next."""
        for task in self._tasks:
            task.cancel()
        await self.kept.end(Ended(is_lost, self._progress.last_id, self._listed()), _ENDED_SECONDS)

    # ------------------------------------------------------------------------------------------------------- its life

    async def _until_gone(self) -> None:
        gone = asyncio.ensure_future(self.request.until_gone())
        try:
            while not gone.done():
                if not await self._say_what_changed():
                    await self._send(sse.KEEP_ALIVE)
                await self._wait(gone, KEEP_ALIVE_SECONDS)
        finally:
            gone.cancel()

    async def _go_on(self) -> None:
        """Keep what is said for a client that has gone, until it comes back, or not in time."""
        agent = self.session.agent
        if not self.kept.id:
            return
        if _left.total() >= MOST_LEFT or _left[agent] >= MOST_LEFT_OF_AN_AGENT:
            await self._hand_over(is_lost=True)
            return
        self._is_left, until = True, asyncio.get_running_loop().time() + LEFT_SECONDS
        self.node.opened.leave(self.opened)
        _left[agent] += 1
        taken = asyncio.create_task(self._is_taken_over())
        try:
            while not taken.done() and (seconds := until - asyncio.get_running_loop().time()) > 0:
                await self._say_what_changed()
                await self._wait(taken, seconds)
            await self._hand_over(is_lost=not taken.done() or taken.exception() is not None)
        finally:
            taken.cancel()
            _left[agent] -= 1

    async def _say_what_changed(self) -> bool:
        """Say which lists have changed, each once; say whether any had."""
        tools = self._tools
        kinds = {primitives.CAPABILITY[primitives.of_name(name)] for name in tools.take_changes()}
        for kind in sorted(kinds):
            await self.event(changed(kind))
        return bool(kinds)

    async def _wait(self, other: asyncio.Future[Any], seconds: float) -> None:
        """Wait until a list has changed, or the other thing has come about. Raises SecretInAnswer."""
        change = asyncio.ensure_future(self._tools.changed.wait())
        await asyncio.wait({other, change, self._leaked}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        change.cancel()
        if self._leaked.done():
            self._leaked.result()

    @property
    def _tools(self) -> ToolList:
        assert self.opened.tools is not None  # noqa: S101 - for the type checker: it is a stream
        return self.opened.tools


def changed(kind: str) -> bytes:
    """Write that a list has changed."""
    return b'{"jsonrpc":"2.0","method":"notifications/%s/list_changed"}' % kind.encode()
