"""The door of connectors: who signs for this connection with an enrolled key comes in, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.plugin import DjangoDbBlocker

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.connectors import connectors, proof
from entitlements.connectors.models import Connector
from entitlements.connectors.streams import Kind
from tests import databases, make, waits
from tests.nodes.gateway import world
from tests.nodes.gateway.world import Gateway

REASON = "for a test"
REFUSED = 4403

type Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture(scope="module")
def node(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Gateway]:  # noqa: ARG001
    short = ("--header-seconds", "1")
    with databases.emptied(django_db_blocker), world.gateway("node-door", more=short) as node:
        yield node


class Peer:
    """A connector that a test plays: its row, and its key."""

    def __init__(self, of: System) -> None:
        self.system, self.key = of, Ed25519PrivateKey.generate()
        made = connectors.add(of, name="hall 3", by=make.analyst(), reason=REASON)
        self.row = connectors.enrol(code=made.code, public_key=proof.public_text(self.key))

    def signature(self, hello: dict[str, str], **other: str) -> dict[str, str]:
        """Sign what a node said."""
        said = {"connector": str(self.row.pk), "system": self.system.slug, "node": hello["node"]}
        signature = proof.signed(self.key, **{**said, "nonce": hello["nonce"], **other})
        return {"connector": str(self.row.pk), "signature": signature}


def visit(node: Gateway, system: str, talk: Callable[[Socket], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what it returns
    """Connect to the door of a system."""

    async def run() -> Any:  # noqa: ANN401 - as above
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{node.base}/gw/{system}/connector", timeout=aiohttp.ClientWSTimeout(ws_close=2)) as ws,
        ):
            return await talk(ws)

    return asyncio.run(asyncio.wait_for(run(), waits.SECONDS))


def told(node: Gateway, system: str, answer: Callable[[dict[str, str]], dict[str, str]]) -> Any:  # noqa: ANN401
    """Answer the node's greeting, and return what it says then, or the code with which it closes."""

    async def talk(ws: Socket) -> Any:  # noqa: ANN401 - as above
        await ws.send_json(answer(await ws.receive_json()))
        message = await ws.receive()
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else ws.close_code

    return visit(node, system, talk)


def test_an_enrolled_connector_comes_in_and_learns_of_the_nodes(node: Gateway) -> None:
    peer = Peer(make.system())
    waits.until(lambda: told(node, peer.system.slug, peer.signature) == {"nodes": ["node-door"]})


def test_what_is_signed_for_another_connection_system_node_or_connector_is_refused(node: Gateway) -> None:
    peer, other = Peer(make.system()), Peer(make.system())
    kept: list[dict[str, str]] = []

    def first(hello: dict[str, str]) -> dict[str, str]:
        kept.append(peer.signature(hello))
        return kept[-1]

    assert "nodes" in told(node, peer.system.slug, first)
    answers: list[tuple[str, Callable[[dict[str, str]], dict[str, str]]]] = [
        (peer.system.slug, lambda _: kept[0]),  # replayed
        (other.system.slug, peer.signature),
        (other.system.slug, lambda hello: peer.signature(hello, system=other.system.slug)),
        (peer.system.slug, lambda hello: peer.signature(hello, node="node-other")),
        (peer.system.slug, lambda hello: {**other.signature(hello), "connector": str(peer.row.pk)}),
        (peer.system.slug, lambda _: {"connector": "no-uuid", "signature": ""}),
        (peer.system.slug, lambda _: {}),
        ("no-such-system", peer.signature),
    ]
    for system, answer in answers:
        assert told(node, system, answer) == REFUSED


def test_a_connector_that_waits_or_is_revoked_is_refused(node: Gateway) -> None:
    peer = Peer(make.system())
    Connector.objects.filter(pk=peer.row.pk).update(
        state="pending", public_key="", enrolled_at=None, code_sha256="c" * 64
    )
    assert told(node, peer.system.slug, peer.signature) == REFUSED
    other = Peer(make.system())
    connectors.revoke(other.row.pk, by=SYSTEM, reason=REASON)
    assert told(node, other.system.slug, other.signature) == REFUSED


def test_a_link_outlives_the_deadline_of_requests_and_is_cut_when_it_breaks_the_rules(node: Gateway) -> None:
    peer = Peer(make.system())

    async def talk(ws: Socket) -> tuple[bool, int | None]:
        await ws.send_json(peer.signature(await ws.receive_json()))
        await ws.receive()
        await asyncio.sleep(1.5)
        lives = not ws.closed
        await ws.send_bytes(struct.pack("!BI", Kind.OPEN, 7) + b"10.0.0.1:22")  # a connector opens nothing
        while not ws.closed:
            await ws.receive()
        return lives, ws.close_code

    lives, code = visit(node, peer.system.slug, talk)
    assert lives
    assert code == 4400


def test_one_source_holds_few_connections_without_a_signature(node: Gateway) -> None:
    system = make.system().slug

    async def run() -> tuple[int, int]:
        async with aiohttp.ClientSession() as http, contextlib.AsyncExitStack() as stack:
            held = 0
            while held < 100:
                try:
                    await stack.enter_async_context(http.ws_connect(f"{node.base}/gw/{system}/connector"))
                except aiohttp.WSServerHandshakeError as refused:
                    return held, refused.status
                held += 1
            return held, 0

    assert asyncio.run(run()) == (20, 403)
    peer = Peer(make.system())

    def comes_in() -> bool:
        with contextlib.suppress(aiohttp.WSServerHandshakeError):
            return "nodes" in told(node, peer.system.slug, peer.signature)
        return False

    waits.until(comes_in)


def test_no_other_address_speaks_websocket(node: Gateway) -> None:
    async def run(path: str) -> int:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{node.base}{path}")
            return refused.value.status

    for path in (
        "/gw/mcp",
        "/gw/x/mcp",
        "/gw/connector",
        "/gw/a/b/connector",
        "/gw/%2e%2e/connector",
        "/",
        "/idp/token",
    ):
        assert asyncio.run(run(path)) == 403
