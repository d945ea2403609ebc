"""The retry of a call that waits at another node: sent to that node, sealed, and answered by it piece by piece.

It goes by the internal address of the node, which the request state names, as a request for a local server does
(`stdio/other_nodes.py`). That node decides once more, on facts as new as the sender's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

import aiohttp
import msgspec
from aiohttp import web

from audit import clock
from entitlements.codes import Code
from entitlements.decisions.snapshot import Token
from entitlements.gateway.http import Answer, Request, Stream
from entitlements.gateway.waiting_calls.waiting_call import Part, RequestState, WaitingCall
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.node.shared import sealed_requests
from entitlements.stdio import other_nodes
from entitlements.stdio.other_nodes import Asked, Inbox, NodeEndpoint, NotOurs
from entitlements.stdio.places import Elsewhere
from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer as Pieces

PATH: Final = "/internal/waiting-call"
PURPOSE: Final = "waiting-call"
_EVENT, _ANSWER, _REFUSED = b"e", b"a", b"r"
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, egress.Unreachable, msgspec.MsgspecError)

logger = logging.getLogger(__name__)


class RetryMessage(msgspec.Struct, frozen=True):
    """What goes to the node at which a call waits: for which of its turns, what the client said, and how it counts."""

    call: UUID
    turn: int
    request_id: bytes
    progress: Any
    answers: dict[str, Any]


class _Whole(msgspec.Struct, frozen=True, array_like=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_read_message: Final = msgspec.msgpack.Decoder(RetryMessage).decode
_read_whole: Final = msgspec.msgpack.Decoder(_Whole).decode


async def hand_over(
    node: Node, bearer: Bearer, state: RequestState, message: RetryMessage, stream: Stream, request: Request,
    gate: Callable[[], None],
) -> None:  # fmt: skip
    """Let the node of a call go on with it, and pass on what it says. Raises Refused, and what the gate raises.

    A client that goes away before the answer cancels the call.
    """
    place = Elsewhere(state.node, state.run, state.address.removesuffix(other_nodes.PATH) + PATH)
    ask = sealed_requests.by(state.system, bearer, node.feed.position)
    endpoint = NodeEndpoint(place, ask, PURPOSE)
    stream.keep_alive()
    passing = asyncio.ensure_future(
        endpoint.post(node.waiting.pool, {}, _encode(message), lambda answer: _pass_on(answer, stream), gate=gate)
    )
    gone = asyncio.ensure_future(request.until_gone())
    try:
        await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
    except _FAILURES as why:
        raise Refused(Code.CALL_OVER, data={"certain": False}) from why
    finally:
        stream.close()
        gone.cancel()
        passing.cancel()


async def _pass_on(answer: Pieces, stream: Stream) -> None:
    """Pass the pieces of the other node's answer on. Raises Refused as that node does, Unreachable for half of one."""
    while answer.status == HTTPStatus.OK and (piece := await answer.content.readany()):
        kind, said = piece[:1], piece[1:]
        if kind == _EVENT:
            await stream.event(said)
        elif kind == _ANSWER:
            whole = _read_whole(said)
            await stream.finish(Answer(whole.status, whole.body, tuple(whole.headers)))
            return
        else:
            raise Refused(Code(said.decode()))
    raise egress.Unreachable


class _Pieces:
    """A stream of a call's answer as pieces for another node: at most one waits to be read."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._is_closed = asyncio.Event()
        self._is_left = False

    async def event(self, message: bytes) -> None:
        """Hand a message on."""
        await self._put(_EVENT + message)

    async def finish(self, answer: Answer) -> None:
        """Hand the answer on."""
        await self._put(_ANSWER + _encode(_Whole(answer.status, list(answer.headers), answer.body)))

    async def refuse(self, code: Code) -> None:
        """Hand on why the call does not go on."""
        await self._put(_REFUSED + code.value.encode())

    async def pause(self, seconds: float) -> None:
        """Stay: a stateless client comes back for no stream."""

    def keep_alive(self) -> None:
        """The node of the client keeps its connection alive."""

    def close(self) -> None:
        """End after what waits to be read."""
        self._is_closed.set()

    def leave(self) -> None:
        """Drop the rest, which has no reader any more."""
        self._is_left = True

    async def _put(self, piece: bytes) -> None:
        if not self._is_left:
            await self._pieces.put(piece)

    async def readany(self) -> bytes:
        """Return the next piece; nothing at the end, as a reader of an answer does."""
        piece, closed = asyncio.ensure_future(self._pieces.get()), asyncio.ensure_future(self._is_closed.wait())
        try:
            await asyncio.wait({piece, closed}, return_when=asyncio.FIRST_COMPLETED)
            if piece.done():
                return piece.result()
        finally:
            piece.cancel()
            closed.cancel()
        return b"" if self._pieces.empty() else self._pieces.get_nowait()


class WaitingCallAddress:
    """Takes what other nodes send for the calls that wait at this one."""

    path: Final = PATH

    def __init__(self, node: Node, catch_up: Callable[[int], Awaitable[None]]) -> None:
        self._node, self._catch_up = node, catch_up
        self._inbox = Inbox(node.name, node.places.run, PURPOSE, other_nodes.read_request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Go on with a call: 401 for what was not sealed for this process, 503 where it cannot be decided here."""
        try:
            asked = self._inbox.open(await request.read())
            message = _read_message(asked.message)
            await self._catch_up(asked.position)
            waiting = await self._allowed(asked, message)
        except (NotOurs, msgspec.MsgspecError):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        except (Closed, clock.ClockUnknown, TimeoutError):
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        pieces = _Pieces()
        going_on = asyncio.ensure_future(self._go_on(waiting, message, pieces))
        try:
            answer = Pieces(HTTPStatus.OK, {}, cast("aiohttp.StreamReader", pieces))
            async for piece in other_nodes.sealed_pieces(answer, asked.number):
                await response.write(piece)
        except (asyncio.CancelledError, aiohttp.ClientConnectionResetError):
            pieces.leave()
            if waiting is not None and not going_on.done():
                waiting.leave()
            raise
        return response

    async def _allowed(self, asked: Asked, message: RetryMessage) -> WaitingCall | None:
        """Return the call, if its caller may still make it, here too. Raises NotOurs for another's, TimeoutError."""
        waiting = self._node.waiting.get(message.call)
        if not isinstance(waiting, WaitingCall):
            return None
        if (asked.agent, asked.person, asked.client) != waiting.key or waiting.policy_call is None:
            raise NotOurs
        token = Token(asked.jti, asked.issued, asked.expires, frozenset(asked.scopes), asked.covers_all)
        call = replace(waiting.policy_call, token=token, session=asked.session, chain=asked.chain)
        verdict, _ = await self._node.decide(call)
        if not verdict.allowed:
            raise TimeoutError
        return waiting

    async def _go_on(self, waiting: WaitingCall | None, message: RetryMessage, pieces: _Pieces) -> None:
        """Give a call what its client said, and hear it until the client's request is answered."""
        part = Part(pieces, message.request_id, message.progress)
        try:
            if waiting is None:
                await pieces.refuse(Code.CALL_OVER)
                return
            waiting.take_up(message.turn, part)
            await waiting.go_on(part, message.answers)
            await part.over.wait()
        except Refused as why:
            await pieces.refuse(why.code)
        finally:
            pieces.close()
