"""The door of connectors: a WebSocket at `/gw/<system>/connector`, over which they are asked for connections.

The node says its name and a nonce, the connector signs both with the key that it was enrolled with, and from then on
the messages are frames (`connectors/streams.py`). A WebSocket needs no other port, and passes what web traffic passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any, Final
from uuid import UUID

import msgspec

from audit import client_address
from entitlements.codes import Code
from entitlements.connectors import proof
from entitlements.connectors.relays import Held
from entitlements.connectors.streams import BrokenLink, Link
from entitlements.gateway import http
from entitlements.gateway.http import Receive, Send
from entitlements.node.node import Node
from entitlements.node.refusals import Closed

PROVE_SECONDS: Final = 10.0
"""Seconds for a connector to sign."""
MOST_UNPROVEN: Final = 200
MOST_OF_ONE: Final = 20
"""Connections that have not signed yet: of all sources, and of one."""
CLOSE_SECONDS: Final = 2.0
TELL_SECONDS: Final = 15.0
"""Seconds between two messages that name the nodes."""
REFUSED: Final = 4403
OVER: Final = 4400
_LONGEST: Final = 1024

logger = logging.getLogger(__name__)
_unproven: Counter[str] = Counter()
"""By source."""


class _Signed(msgspec.Struct):
    connector: str
    signature: str


async def serve(node: Node, system: str, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve one WebSocket of a connector of this system, from its handshake to its end."""
    await receive()
    source = client_address.counted_as(http.source_of(scope))
    if _unproven.total() >= MOST_UNPROVEN or _unproven[source] >= MOST_OF_ONE:
        await send({"type": "websocket.close", "code": REFUSED})
        return
    _unproven[source] += 1
    try:
        await send({"type": "websocket.accept"})
        connector = await _proven(node, system, receive, send)
    except (Closed, TimeoutError):
        await _close(send, OVER, "not_now")
        return
    finally:
        _unproven[source] -= 1
        if not _unproven[source]:
            del _unproven[source]
    if connector is None:
        node.strangers.count(Code.PROOF_INVALID, source)
        await _close(send, REFUSED, "connector_unknown")
        return
    await _carry(node, system, connector, receive, send)


async def _proven(node: Node, system: str, receive: Receive, send: Send) -> UUID | None:
    """Return the connector that signs; None for one that does not. Raises Closed, TimeoutError."""
    node.check_open()
    nonce = secrets.token_urlsafe(32)
    await _tell(send, {"kind": proof.KIND, "node": node.name, "nonce": nonce})
    async with asyncio.timeout(PROVE_SECONDS):
        message = await receive()
    text = message.get("text") or ""
    try:
        signed = msgspec.json.decode(text[:_LONGEST], type=_Signed)
    except msgspec.DecodeError:
        return None
    return await node.relays.is_proven(system, signed.connector, signed.signature, nonce)


async def _carry(node: Node, system: str, connector: UUID, receive: Receive, send: Send) -> None:
    """Take frames until one side ends the link."""

    async def send_frame(frame: bytes) -> None:
        try:
            await send({"type": "websocket.send", "bytes": frame})
        except OSError as why:  # the server's own word for a client that is gone
            raise BrokenLink("the connector is gone") from why

    held = Held(connector, Link(send_frame))
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(held.ended.wait())]
    try:
        if await node.relays.hold(system, held):
            tasks += [asyncio.create_task(_take(held.link, receive)), asyncio.create_task(_name_nodes(node, send))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        held.cut("ended")
        broken = next((str(each) for each in results if isinstance(each, BrokenLink)), "")
        if broken:
            logger.warning("connector_broke_the_rules", extra={"system": system, "why": broken})
        await _close(send, REFUSED if held.word == "revoked" else OVER, held.word)
        await node.relays.leave(system, held)


async def _take(link: Link, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        if (frame := message.get("bytes")) is None:
            raise BrokenLink("a message that is no frame")
        await link.take(frame)


async def _name_nodes(node: Node, send: Send) -> None:
    """Say which nodes there are, at once and again and again: a connector connects to each."""
    while True:
        with contextlib.suppress(Closed):
            await _tell(send, {"nodes": await node.relays.nodes()})
        await asyncio.sleep(TELL_SECONDS)


async def _tell(send: Send, content: Mapping[str, object]) -> None:
    await send({"type": "websocket.send", "text": msgspec.json.encode(content).decode()})


async def _close(send: Send, code: int, word: str) -> None:
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):  # it is closed already, or takes nothing
        async with asyncio.timeout(CLOSE_SECONDS):
            await send({"type": "websocket.close", "code": code, "reason": word})
