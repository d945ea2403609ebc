"""Probes of a revocation: a node says by its internal address how it would answer a call. It never sends it on.

A probe is sealed for one process of one node, as what other nodes send is, and holds a call that a revocation forbids:
the names, and the token as it was issued. The node catches up with the change feed, checks its lease, and decides by
the function and on the facts that decide its calls. Nothing here knows a system's address or its credential, so a
call that a node would let pass is reported and goes nowhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from audit import clock
from entitlements.codes import Code
from entitlements.decisions import policy
from entitlements.decisions.snapshot import Call, Token
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.secrets import seal
from entitlements.stdio.other_nodes import Inbox, Message, NotOurs

PATH: Final = "/internal/probe"
PURPOSE: Final = "probe"


class Probe(Message, frozen=True, kw_only=True):
    """One call, by names; `jti` is empty for one without a token. `position`: how far the node must have applied."""

    position: int
    system: str
    tool: str
    agent: str
    client: str
    person: str | None
    session: str | None
    jti: str = ""
    issued: float = 0.0
    expires: float = 0.0


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node answered: `status` as of HTTP: 403 it refuses, 200 it would let it pass, 503 it serves no calls."""

    node: str
    number: str
    status: int
    code: str
    position: int


_encode: Final = msgspec.json.Encoder().encode
read_probe: Final = msgspec.json.Decoder(Probe).decode
_read_answer: Final = msgspec.json.Decoder(ProbeAnswer).decode


def seal_probe(probe: Probe, node: str, run: object) -> bytes:
    """Seal a probe for one process."""
    return seal.seal(_encode(probe), f"{PURPOSE}:{node}:{run}")


def open_answer(sealed: bytes, probe: Probe, node: str) -> ProbeAnswer:
    """Return what a node answered to this probe. Raises NotOurs for what it did not answer."""
    try:
        answer = _read_answer(seal.unseal(sealed, _place(probe.number)))
    except (seal.SealBroken, msgspec.MsgspecError) as why:
        raise NotOurs from why
    if (answer.number, answer.node) != (probe.number, node):
        raise NotOurs
    return answer


def _place(number: str) -> str:
    return f"probe-answer:{number}"


class ProbeAddress:
    """Answers the probes that come to one node. `catch_up` waits until it has followed the feed to a position."""

    def __init__(self, node: Node, catch_up: Callable[[int], Awaitable[None]]) -> None:
        self._node, self._catch_up = node, catch_up
        self._inbox = Inbox(node.name, node.places.run, PURPOSE, read_probe)

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one probe: sealed for who sent it, and 401 for what was not sealed for this process."""
        try:
            probe = self._inbox.open(await request.read())
        except (NotOurs, clock.ClockUnknown):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        status, code = await self._decide(probe)
        answer = ProbeAnswer(
            node=self._node.name, number=probe.number, status=status, code=code, position=self._node.feed.position
        )
        return web.Response(status=status, body=seal.seal(_encode(answer), _place(probe.number)))

    async def _decide(self, probe: Probe) -> tuple[int, str]:
        try:
            await self._catch_up(probe.position)
            verdict, _ = await self._node.decide(_call(probe), policy.reachable)
        except Closed as why:
            return HTTPStatus.SERVICE_UNAVAILABLE, why.code.value
        except TimeoutError:
            return HTTPStatus.SERVICE_UNAVAILABLE, Code.FEED_UNKNOWN.value
        return HTTPStatus.OK if verdict.allowed else HTTPStatus.FORBIDDEN, verdict.code.value


def _call(probe: Probe) -> Call:
    """Return the question. The token opens whatever is granted, so that no narrow scope refuses in the stop's place."""
    token = Token(probe.jti, probe.issued, probe.expires, frozenset(), covers_all=True) if probe.jti else None
    return Call(probe.agent, probe.client, probe.person, probe.system, probe.tool, {}, token, probe.session)
