"""The internal address of a node: requests of other nodes for the children that this one has, and probes.

What comes was decided and recorded by the node that sends it. It is decided here once more, with this node's own lease
and facts, which have to be as new as the sender's. What is in doubt is answered 503, what has no child here 404, and
what another node of ours did not seal for this process, or sent before, 401.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
from aiohttp import web
from django.conf import settings

from audit import clock
from entitlements.decisions.snapshot import Call, Token
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.refusals import Closed
from entitlements.node.streams import OpenRequest
from entitlements.stdio import other_nodes
from entitlements.stdio.local_servers import Way
from entitlements.stdio.other_nodes import Asked, Inbox, NotOurs
from entitlements.stdio_calls import probes
from entitlements.stdio_calls.probes import ProbeAddress
from entitlements.upstream import egress
from entitlements.upstream.endpoint import Answer

CATCH_UP_SECONDS: Final = 1.0
"""How long a request waits for this node to follow the change feed as far as its sender."""
MOST_PROCESSES: Final = 64
"""Processes of one machine that share the beginning of a range of ports."""
_PAUSE: Final = 0.02
_AGAIN_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


class Unknown(TimeoutError):
    """It cannot be known here and now that the call is still allowed."""


class _Address(Protocol):
    @property
    def path(self) -> str: ...

    async def serve(self, request: web.Request) -> web.StreamResponse: ...


type MoreAddress = Callable[[Node, Callable[[int], Awaitable[None]]], _Address]
"""Makes what answers at another path, of a node and of what lets that catch up with the change feed."""


class InternalAddress:
    """Listens at NODE_ADDRESS for other nodes, and says in the database where."""

    def __init__(self, node: Node, *more: MoreAddress) -> None:
        self._node = node
        self._inbox = Inbox(node.name, node.places.run, other_nodes.PURPOSE, other_nodes.read_request)
        application = web.Application(client_max_size=other_nodes.LARGEST)
        application.router.add_post(other_nodes.PATH, self._serve)
        application.router.add_post(probes.PATH, ProbeAddress(node, self._catch_up).serve)
        for make in more:
            there = make(node, self._catch_up)
            application.router.add_post(there.path, there.serve)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
        self._saying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises OSError where the address is none of this machine's, or is taken."""
        await self._runner.setup()
        host, first = settings.NODE_ADDRESS
        port = await self._listen(host, range(first, first + (MOST_PROCESSES if first else 1)))
        self._node.places.address = f"http://{f'[{host}]' if ':' in host else host}:{port}{other_nodes.PATH}"
        self._saying = asyncio.create_task(self._say())

    async def _listen(self, host: str, ports: range) -> int:
        """Listen at the first port that no other process of this machine has. Returns it. Raises OSError."""
        for port in ports:
            try:
                await web.TCPSite(self._runner, host, port).start()
            except OSError as why:
                if why.errno != errno.EADDRINUSE or port == ports[-1]:
                    raise
            else:
                break
        taken: int = self._runner.addresses[0][1]
        return taken

    async def stop(self) -> None:
        """Take nothing more."""
        if self._saying is not None:
            self._saying.cancel()
        await self._runner.cleanup()

    async def _say(self) -> None:
        """Say how this node holds children, as soon as the database takes it."""
        while True:
            with contextlib.suppress(Closed):
                await self._node.places.say()
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = self._inbox.open(await request.read())
            return await self._hand_on(request, asked, other_nodes.message_of(asked))
        except NotOurs:
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        except (Closed, Unknown, clock.ClockUnknown, egress.Unreachable, TimeoutError, OSError) as why:
            logger.info("child_call_refused", extra={"node": self._node.name, "why": type(why).__name__})
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _hand_on(self, request: web.Request, asked: Asked, message: dict[str, Any]) -> web.StreamResponse:
        await self._catch_up(asked.position)
        entry = await self._node.directory.get(asked.system)
        if entry is None or entry.command is None:
            raise Unknown
        if message.get("method") != "tools/call":
            return await self._notify(entry, asked, message)
        call = _call(asked, message.get("params"))
        verdict, held = await self._node.decide(call)
        if not verdict.allowed:
            raise Unknown
        way = await self._node.upstreams.local.get_here(entry.slug, entry.command, _key(asked))
        if way is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)

        def gate() -> None:
            if not self._node.still_allows(call, held):
                raise Unknown

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        opened = OpenRequest(call, task, is_call=True)
        self._node.opened.add(opened)
        try:
            return await _answered(request, asked, way, gate)
        finally:
            self._node.opened.remove(opened)

    async def _notify(self, entry: ServedSystem, asked: Asked, message: dict[str, Any]) -> web.Response:
        """Hand a notification to the child, where one runs; it is about a call that was decided before."""
        if "id" in message:
            raise Unknown
        local, command = self._node.upstreams.local, entry.command
        if command is not None and local.has(entry.slug, command, _key(asked)):
            way = await local.get_here(entry.slug, command, _key(asked))
            if way is not None:
                await way[1].endpoint.post(way[0], {}, asked.message, _ignored)
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _catch_up(self, position: int) -> None:
        """Wait until this node knows of every change that the sender knew of. Raises Unknown, Closed."""
        self._node.check_open()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while self._node.feed.position < position:  # noqa: ASYNC110 - the feed wakes nobody
                    await asyncio.sleep(_PAUSE)
        if self._node.feed.position < position:
            raise Unknown
        self._node.check_open()


async def _answered(request: web.Request, asked: Asked, way: Way, gate: Any) -> web.StreamResponse:  # noqa: ANN401
    """Hand a call to the child and stream what it answers. The first piece is sent once the child has the call."""

    async def take(answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientConnectionResetError):
            async for piece in other_nodes.sealed_pieces(answer, asked.number):
                await response.write(piece)
        return response

    return await way[1].endpoint.post(way[0], {}, asked.message, take, gate=gate)


async def _ignored(_answer: Answer) -> None:
    """Read nothing of an answer."""


def _key(asked: Asked) -> tuple[str, str | None, str]:
    return asked.agent, asked.person, asked.client


def _call(asked: Asked, params: object) -> Call:
    """Return the question that the sender has answered. Raises NotOurs for params that are none."""
    if not isinstance(params, dict) or not isinstance(name := params.get("name"), str):
        raise NotOurs
    arguments = params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise NotOurs
    token = Token(asked.jti, asked.issued, asked.expires, frozenset(asked.scopes), asked.covers_all)
    return Call(
        asked.agent, asked.client, asked.person, asked.system, name, arguments, token, asked.session, chain=asked.chain
    )
