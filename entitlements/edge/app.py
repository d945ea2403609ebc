"""The edge as one ASGI callable: by its roles, the machine endpoints of our issuers, the gateway, or both.

`issuer` needs the signing keys and the database's issuing functions, `gateway` the secrets of the systems behind it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any, Final

from entitlements.codes import Code
from entitlements.gateway import app
from entitlements.gateway.http import NO_STORE, Answer, Disconnected, Receive, Request, Send
from entitlements.gateway.waiting_calls.other_nodes import WaitingCallAddress
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from entitlements.node_feed.worker_feed import Worker
from entitlements.stdio_calls.internal_address import InternalAddress
from entitlements.traces import telemetry

from . import issuer
from .connectors import door as connectors
from .door import Received
from .on_node import OnNode

ISSUER: Final = "issuer"
GATEWAY: Final = "gateway"
ROLES: Final = (ISSUER, GATEWAY)
NOT_HERE: Final = {"error": "There is nothing at this address."}

logger = logging.getLogger(__name__)


class Application:
    """ASGI 3: `lifespan` starts and stops the node, `http` is served by it."""

    def __init__(self, roles: tuple[str, ...] = ROLES) -> None:
        """Take some of ROLES. Raises ValueError for none, or another."""
        if not roles or not set(roles) <= set(ROLES):
            message = f"an edge process has the roles {', '.join(ROLES)}, or one of them"
            raise ValueError(message)
        self.roles = roles
        self._node: Node | None = None
        self._outside: OnNode | None = None
        self._worker: Worker | None = None

    def be_worker(self, name: str, link: socket.socket) -> None:
        """Be one worker of several: the node of this name, whose change feed the listener beyond this socket reads."""
        self._worker = Worker(name, link)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(Request.of(scope, receive, send))
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)

    async def _connect(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve a connector, which is the only one that speaks WebSocket here."""
        system = app.connector_system(scope["path"])
        if self._node is None or GATEWAY not in self.roles or not system:
            await send({"type": "websocket.close", "code": connectors.REFUSED})
        else:
            await connectors.serve(self._node, system, scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        node = self._node = Node(self._worker)
        outside = self._outside = OnNode(node) if ISSUER in self.roles else None
        inside = InternalAddress(node, WaitingCallAddress) if GATEWAY in self.roles else None
        telemetry.start("mandate-edge")
        await node.start()
        if inside is not None:
            await inside.start()
        if outside is not None:
            outside.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if outside is not None:
            await outside.stop()
        if inside is not None:
            await inside.stop()
        await node.stop()
        await asyncio.to_thread(telemetry.stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, request: Request) -> None:
        node, outside = self._node, self._outside
        if node is None:
            await request.answer(Answer.of(HTTPStatus.SERVICE_UNAVAILABLE, {"ready": False, "missing": ["start"]}))
        elif GATEWAY in self.roles and request.path.startswith(app.SYSTEMS):
            await app.serve(node, request)  # first, since most are calls
        elif outside is not None and issuer.serves(request.path):
            await _issue(outside, request)
        elif outside is not None and (page := issuer.page(request.path)) is not None:
            await request.answer(_led_to(page, request.query))
        elif GATEWAY in self.roles or app.is_page(request.path):
            await app.serve(node, request)
        else:
            await request.answer(Answer.of(HTTPStatus.NOT_FOUND, NOT_HERE))


async def _issue(outside: OnNode, request: Request) -> None:
    try:
        answer = await issuer.answer(outside, received(request, await request.body(issuer.LARGEST_BODY)))
    except Disconnected:
        return
    except Refused as why:
        body = {"error": "invalid_request", "error_description": why.message, "code": why.code.value}
        answer = Answer.of(why.status, body)
    except Exception:
        logger.exception("issuer_failed")
        answer = Answer.of(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "server_error", "code": Code.FEED_UNKNOWN})
    await request.answer(answer)


def _led_to(page: str, query: bytes) -> Answer:
    """Lead a browser to a page of the console's process, with its question and its method as they are."""
    location = page.encode() + (b"?" + query if query else b"")
    return Answer(HTTPStatus.TEMPORARY_REDIRECT, headers=((b"location", location), NO_STORE))


def received(request: Request, body: bytes) -> Received:
    """Return a request as the endpoints take it: a repeated header is joined by commas (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Received(request.method, request.path, headers, body, request.source)
