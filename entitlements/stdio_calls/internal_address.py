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
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
from aiohttp import web
from django.conf import settings

from audit import clock
from entitlements.decisions import policy
from entitlements.decisions.snapshot import Call, Token
from entitlements.gateway.primitives import names
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node, Rule
from entitlements.node.refusals import Closed, Refused
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
_OF_NO_ROW: Final = frozenset(
    {None, "logging/setLevel", other_nodes.LISTEN, *(f"tasks/{each}" for each in ("get", "result", "list", "cancel"))}
)
"""What names no row here. The sender has decided about a task, by what its id holds for the client."""
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
        if "method" in message and "id" not in message:
            return await self._notify(entry, asked)
        call, rule = _question(entry, asked, message)
        verdict, held = await self._node.ask(rule, call)
        if not verdict.allowed:
            raise Unknown

        def gate() -> None:
            self._node.check_open()
            if held is None or held.is_dropped or not rule(call, held.facts, self._node.now()).allowed:
                raise Unknown

        if message.get("method") == other_nodes.LISTEN:
            return await self._until_cut(call, self._hear(request, entry, asked), is_call=False)
        way = await self._node.upstreams.local.get_here(entry.slug, entry.command, _key(asked), asked.origin)
        if way is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return await self._until_cut(call, _answered(request, asked, way, gate))

    async def _until_cut(
        self, call: Call, answering: Coroutine[Any, Any, web.StreamResponse], *, is_call: bool = True
    ) -> web.StreamResponse:
        """Answer for as long as the caller may have it: the feed ends it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        opened = OpenRequest(call, task, is_call=is_call)
        try:
            self._node.opened.add(opened)
        except Refused as why:
            answering.close()
            raise Unknown from why
        try:
            return await answering
        finally:
            self._node.opened.remove(opened)

    async def _hear(self, request: web.Request, entry: ServedSystem, asked: Asked) -> web.StreamResponse:
        """Stream what a child says beside its answers, where it is here."""
        local, command = self._node.upstreams.local, entry.command
        if command is None or not local.has(entry.slug, command, _key(asked)):
            return web.Response(status=HTTPStatus.NOT_FOUND)
        return await local.hear_here(entry.slug, command, _key(asked), asked.origin, _sending(request, asked))

    async def _notify(self, entry: ServedSystem, asked: Asked) -> web.Response:
        """Hand a notification to the child, where one runs; it is about a call that was decided before."""
        local, command = self._node.upstreams.local, entry.command
        if command is not None and local.has(entry.slug, command, _key(asked)):
            way = await local.get_here(entry.slug, command, _key(asked), asked.origin)
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
    return await way[1].endpoint.post(way[0], {}, asked.message, _sending(request, asked), gate=gate)


def _sending(request: web.Request, asked: Asked) -> Callable[[Answer], Awaitable[web.StreamResponse]]:
    """Return what sends an answer on, sealed for who asked; one without a body by its status."""

    async def take(answer: Answer) -> web.StreamResponse:
        if answer.status != HTTPStatus.OK:
            return web.Response(status=answer.status)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientConnectionResetError):
            async for piece in other_nodes.sealed_pieces(answer, asked.number):
                await response.write(piece)
        return response

    return take


async def _ignored(_answer: Answer) -> None:
    """Read nothing of an answer."""


def _key(asked: Asked) -> tuple[str, str | None, str]:
    return asked.agent, asked.person, asked.client


def _question(entry: ServedSystem, asked: Asked, message: dict[str, Any]) -> tuple[Call, Rule]:
    """Return the question that the sender has answered, and the rule that did. Raises NotOurs for what is none.

    What names no row of the catalog, such as an answer of a client, is for callers that may see the system by a grant.
    """
    method, params = message.get("method"), message.get("params", {})
    if not isinstance(params, dict):
        raise NotOurs
    if method in _OF_NO_ROW:
        return _call(asked, "", {}), policy.still_live
    if method != "tools/call":
        try:
            return _call(asked, *names.called(entry, str(method), params)), policy.decide
        except (Refused, KeyError) as why:
            raise NotOurs from why
    name, arguments = params.get("name"), params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise NotOurs
    return _call(asked, name, arguments), policy.decide


def _call(asked: Asked, name: str, arguments: dict[str, Any]) -> Call:
    token = Token(asked.jti, asked.issued, asked.expires, frozenset(asked.scopes), asked.covers_all)
    return Call(
        asked.agent, asked.client, asked.person, asked.system, name, arguments, token, asked.session, chain=asked.chain
    )
