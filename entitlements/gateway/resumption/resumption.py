"""A legacy client that comes back for a stream: it names the last event that it has, at any node (GW-16).

What followed is handed out in order, once, from what is kept, and what still comes with it, until the answer. The event
must be one of the client's own session; of a call it is decided again, event by event, whether the caller may make it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec

from entitlements.codes import Code
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.gateway import answers, messages
from entitlements.gateway.conversation.client_sessions import ClientSession
from entitlements.gateway.http import Request, encode
from entitlements.gateway.resumption import kept_streams
from entitlements.gateway.resumption.kept_streams import CallAsked, Ended, Events, StreamName
from entitlements.node import records
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused
from entitlements.node.upstreams import CALL_SECONDS
from entitlements.upstream import sse

KEEP_ALIVE_SECONDS: Final = 10.0
_NEW_SECONDS: Final = 5.0
"""A stream that is no older may have written nothing yet."""
_INTERNAL: Final = -32603


@dataclass(slots=True)
class KeptEvents:
    """What is kept of a stream after one of its events. `open` comes first."""

    node: Node
    name: StreamName
    sealed: str
    number: int
    call: CallAsked | None = None
    _box: UUID = field(init=False)
    _parts: list[Events | Ended] = field(default_factory=list)
    _read: int = 0

    def __post_init__(self) -> None:
        """Begin where the stream did."""
        self._box = self.name.box

    @property
    def id(self) -> str:
        """The id of the event up to which the client has all."""
        return f"{self.sealed}.{self.number}"

    async def open(self) -> None:
        """Read what there is. Raises Refused where what followed the event is not all there, Closed."""
        if self.name.is_call and self.node.now() - self.name.began < _NEW_SECONDS:
            await self._wait()
        while found := await self.node.messages.read(self._box, self._read):
            for at, body in found:
                self._add(at, body)
        if self.name.is_call and self.call is None:
            raise too_old()
        self._check_whole()

    def _check_whole(self) -> None:
        """See that no event after the one that the client has is gone. Raises Refused."""
        following = self.number + 1
        for part in self._parts:
            if isinstance(part, Ended):
                is_gone = part.is_lost or part.number >= following
            else:
                is_gone, following = part.first > following, max(following, part.first + len(part.events))
            if is_gone:
                raise too_old()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NEW_SECONDS):
                async for _ in self.node.messages.follow(self._box):
                    return

    def _add(self, at: int, body: bytes) -> None:
        try:
            if self.name.is_call and at == 1:
                self.call = kept_streams.read_call(body)
            else:
                self._parts.append(kept_streams.read_part(body))
        except msgspec.MsgspecError as why:
            raise too_old() from why
        self._read = at

    async def events(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what follows as it comes, with its ids, until the last. Raises StreamEnded where it is kept no further.

        Raises Closed.
        """
        for part in self._parts:
            for event in self._new(part):
                yield event
            if isinstance(part, Events) and part.is_last:
                return
        while True:
            box = self._box
            async for at, body in self.node.messages.follow(box, self._read):
                self._parts.clear()
                self._add(at, body)
                for event in self._new(self._parts[0]):
                    yield event
                if isinstance(self._parts[0], Events) and self._parts[0].is_last:
                    return
                if self._box != box:
                    break

    def _new(self, part: Events | Ended) -> list[tuple[str, bytes]]:
        """Return the events of a part that were not handed out yet; where another box is next, go on there."""
        if isinstance(part, Ended):
            if part.next is None:
                raise StreamEnded(part)
            self._box, self._read, self.number = part.next, 0, 0
            return []
        new = [(number, event) for number, event in enumerate(part.events, part.first) if number > self.number]
        self.number = max([self.number, *(number for number, _ in new)])
        return [(f"{self.sealed}.{number}", event) for number, event in new]


class StreamEnded(Exception):
    """A stream is kept no further."""

    def __init__(self, ended: Ended) -> None:
        super().__init__()
        self.ended = ended


async def find(node: Node, session: ClientSession, last_id: str) -> KeptEvents:
    """Return what is kept of the stream of this session that an event is of. Raises Refused, Closed."""
    known = await kept_streams.named(node, last_id)
    if known is None or known[0].session != session.id:
        raise _refused("No stream of this session has an event with this id.")
    events = KeptEvents(node, known[0], last_id.rpartition(".")[0], known[1])
    await events.open()
    return events


async def may_hear(node: Node, call: PolicyCall) -> bool:
    """Whether what a call brought may be handed out now. Raises Closed."""
    verdict, _ = await node.decide(call)
    return verdict.allowed or verdict.code is Code.TOKEN_EXPIRED


async def hand_out(node: Node, request: Request, call: PolicyCall, events: KeptEvents) -> None:
    """Send what follows in the stream of a call, until its end, the client's leave, or the longest time of a call."""
    gone, handing = (
        asyncio.ensure_future(request.until_gone()),
        asyncio.ensure_future(_say(node, request, call, events)),
    )
    try:
        async with asyncio.timeout(CALL_SECONDS):
            while not (await asyncio.wait({gone, handing}, timeout=KEEP_ALIVE_SECONDS, return_when="FIRST_COMPLETED"))[
                0
            ]:
                await request.send({"type": "http.response.body", "body": sse.KEEP_ALIVE, "more_body": True})
        if handing.done():
            handing.result()
    except TimeoutError:
        pass  # the node of the call said no more: the client may ask once again
    finally:
        gone.cancel()
        handing.cancel()
    await request.send({"type": "http.response.body", "body": b""})


async def _say(node: Node, request: Request, call: PolicyCall, events: KeptEvents) -> None:
    try:
        async for number, message in events.events():
            if not await may_hear(node, call):
                return
            await request.send({"type": "http.response.body", "body": sse.event(message, number), "more_body": True})
    except StreamEnded:
        said = {"code": _INTERNAL, "message": "What this call brought was too much to be kept."}
        body = answers.error(b"null" if events.call is None else events.call.id, encode(said))
        await request.send({"type": "http.response.body", "body": sse.event(body), "more_body": True})


async def refuse(node: Node, about: CallDetails, why: Refused) -> None:
    """Record that a client came back for what is not its own, or not there. Raises Closed."""
    await node.recorder.durably(records.refusal(about, why.code, why.message))


def too_old() -> Refused:
    """Say that what is asked for is gone."""
    return _refused("What followed this event is not kept any more.")


def _refused(message: str) -> Refused:
    return Refused(
        Code.MALFORMED_CALL, message, status=HTTPStatus.BAD_REQUEST, jsonrpc=messages.INVALID_REQUEST
    )  # fmt: skip
