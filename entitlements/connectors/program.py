"""The connector: runs inside a company's network, dials out to the gateway, and relays connections to listed hosts.

    python -m entitlements.edge.connector enrol --console https://mandate.example.com --key connector.json
    python -m entitlements.edge.connector run --key connector.json --allow erp.internal:8443

It opens no port. What it relays is TLS between the gateway and the system, whose keys it does not have. It connects to
each node of the gateway, to hosts and ports of its own list alone, and needs no setting, no database and no Django.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import random
import signal
import socket
import ssl
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from entitlements.errors import DomainError
from entitlements.networks import rules

from . import proof, streams
from .streams import BrokenLink, Link, Stream

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two rounds of dialling; each is shortened by up to a half at random."""
DIALS: Final = 4
"""How often one address is dialled in a round while it leads to nodes that are connected already."""
HELLO_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 3.0
BEAT_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 60.0
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})

logger = logging.getLogger("connector")


class Unusable(Exception):
    """The connector cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the connector is: what its enrolment gave it, and its key."""

    connector: str
    system: str
    gateway: str
    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Identity:
        """Read the file that enrolment wrote. Raises Unusable."""
        try:
            if path.stat().st_mode & 0o077:
                message = f"{path} can be read by others. Set its mode to 600."
                raise Unusable(message)
            kept = json.loads(path.read_text())
            key = Ed25519PrivateKey.from_private_bytes(proof.of_text(kept["private_key"]))
            return cls(kept["connector"], kept["system"], kept["gateway"], key)
        except (OSError, ValueError, KeyError, TypeError) as why:
            message = f"{path} is not the key file of an enrolled connector."
            raise Unusable(message) from why


class Connector:
    """Keeps a connection to every node, and serves the streams that the nodes open."""

    def __init__(
        self, identity: Identity, gateways: Sequence[str], allowed: frozenset[str], tls: ssl.SSLContext
    ) -> None:
        self._identity, self._gateways, self._allowed, self._tls = identity, gateways, allowed, tls
        self._held: dict[str, Link] = {}
        self._wanted: set[str] = set()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until it is cancelled."""
        async with aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()) as http:
            pause = FIRST_PAUSE
            try:
                while True:
                    self._changed.clear()
                    if not self._is_missing():
                        pause = FIRST_PAUSE
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._changed.wait(), LOOK_SECONDS)
                        _log("alive", nodes=len(self._held), streams=sum(map(len, self._held.values())))
                        continue
                    gained = [await self._dial_round(http, url) for url in self._gateways]
                    pause = FIRST_PAUSE if any(gained) else min(2 * pause, LONGEST_PAUSE)
                    if self._is_missing():
                        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - it spreads load
            finally:
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_missing(self) -> bool:
        return not self._held or bool(self._wanted - self._held.keys())

    async def _dial_round(self, http: aiohttp.ClientSession, gateway: str) -> bool:
        """Dial one address until it leads to no node that is new; says whether one was."""
        is_new = False
        for _ in range(DIALS):
            if not self._is_missing():
                break
            try:
                node = await self._dial(http, gateway)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError) as why:
                _log("not_connected", gateway=gateway, why=str(why) or type(why).__name__)
                break
            is_new = is_new or bool(node)
        return is_new

    async def _dial(self, http: aiohttp.ClientSession, gateway: str) -> str:
        """Connect and sign; returns the node, nothing where its connection is there already."""
        me, address = self._identity, f"{gateway}/gw/{self._identity.system}/connector"
        socket_ = await http.ws_connect(
            address, ssl=self._tls, heartbeat=BEAT_SECONDS, max_msg_size=2 * streams.LARGEST, compress=0
        )
        try:
            node, nonce = _greeted(await socket_.receive_json(timeout=HELLO_SECONDS))
            if node in self._held:
                await socket_.close()
                return ""
            signature = proof.signed(me.key, connector=me.connector, system=me.system, node=node, nonce=nonce)
            await socket_.send_json({"connector": me.connector, "signature": signature})
            self._know(_welcomed(await socket_.receive(timeout=HELLO_SECONDS)))
        except BaseException:
            await socket_.close()
            raise
        link = self._held[node] = Link(socket_.send_bytes, self._serve)
        self._run(self._carry(node, link, socket_))
        _log("connected", node=node, gateway=gateway)
        return node

    def _know(self, text: str) -> None:
        """Take the names of the nodes."""
        wanted = {str(name) for name in json.loads(text)["nodes"]}
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def _carry(self, node: str, link: Link, socket_: aiohttp.ClientWebSocketResponse) -> None:
        """Take frames of one node until the connection ends."""
        try:
            async for message in socket_:
                if message.type is aiohttp.WSMsgType.BINARY:
                    await link.take(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self._know(message.data)
        except (BrokenLink, ValueError, KeyError, TypeError, OSError) as why:
            _log("link_broken", node=node, why=str(why))
        finally:
            link.close()
            if self._held.get(node) is link:
                del self._held[node]
            self._changed.set()
            _log("disconnected", node=node, code=socket_.close_code)
            await socket_.close()

    def _serve(self, stream: Stream) -> None:
        self._run(self._connect(stream))

    async def _connect(self, stream: Stream) -> None:
        """Connect to what a node asks for, if it is on our own list, and relay."""
        with contextlib.suppress(ConnectionError):
            if stream.target not in self._allowed:
                _log("not_allowed", target=stream.target)
                await stream.reset("not_allowed")
                return
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await _opened(stream.target)
            except (OSError, TimeoutError) as why:
                _log("unreachable", target=stream.target, why=type(why).__name__)
                await stream.reset("unreachable")
                return
            try:
                await stream.accept()
            except ConnectionError:
                writer.transport.abort()
                raise
            await streams.relay(stream, reader, writer)

    def _run(self, job: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _greeted(hello: dict[str, Any]) -> tuple[str, str]:
    """Return the name of the node and its nonce. Raises ValueError, KeyError."""
    if hello["kind"] != proof.KIND:
        message = "the gateway speaks another version"
        raise ValueError(message)
    return str(hello["node"]), str(hello["nonce"])


def _welcomed(message: aiohttp.WSMessage) -> str:
    """Return the first message after the signature. Raises ValueError where the node closed instead."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        refusal = f"refused: {message.extra or message.data or 'closed'}"
        raise ValueError(refusal)
    return str(message.data)


async def _opened(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a `host:port`, at an address that was looked at. Raises OSError."""
    host, _, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    why = OSError("no address")
    for address in dict.fromkeys(str(where[0]) for *_, where in found):
        if not _may_connect(host, address):
            _log("forbidden_address", target=target, address=address)
            continue
        try:
            return await asyncio.open_connection(address, int(port), limit=streams.WINDOW)
        except OSError as error:
            why = error
    raise why


def _may_connect(host: str, address: str) -> bool:
    """Say whether a name may lead to an address: never to link-local ones or a cloud's metadata, nor by name to us."""
    if rules.is_forbidden(address):
        return False
    parsed = ipaddress.ip_address(address)
    return not parsed.is_loopback or host in {"localhost", address}


def enrol(console: str, code: str, path: Path, tls: ssl.SSLContext) -> None:
    """Make a key, give its public half for the code, and write the key file. Raises Unusable."""
    key = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as why:
        message = f"{path} cannot be made: {why.strerror}"
        raise Unusable(message) from why
    try:
        with os.fdopen(descriptor, "w") as file:
            given = asyncio.run(_exchange(console, {"code": code, "public_key": proof.public_text(key)}, tls))
            names = {"connector": given["id"], "system": given["system"], "gateway": given["gateway"]}
            json.dump({**names, "private_key": proof.as_text(key.private_bytes_raw())}, file)
    except BaseException as why:
        path.unlink(missing_ok=True)
        if isinstance(why, (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError)):
            message = f"The console did not answer as expected: {type(why).__name__}"
            raise Unusable(message) from why
        raise
    _log("enrolled", connector=given["id"], system=given["system"], thumbprint=given["thumbprint"])


async def _exchange(console: str, body: dict[str, str], tls: ssl.SSLContext) -> dict[str, str]:
    """Give code and public key, and return what a connector keeps. Raises Unusable, with what the console says."""
    address = f"{console}/api/v1/connectors/enrol"
    async with (
        aiohttp.ClientSession(trust_env=True, timeout=aiohttp.ClientTimeout(30)) as http,
        http.post(address, json=body, ssl=tls, allow_redirects=False) as answer,
    ):
        given: dict[str, str] = await answer.json(content_type=None)
        if answer.status == HTTPStatus.CREATED:
            return given
    message = f"{given['code']}: {given['detail']}"
    raise Unusable(message)


def checked_address(url: str) -> str:
    """Return an address without its end slash: https, or http to this machine. Raises Unusable."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        message = f"{url} does not start with https://."
        raise Unusable(message)
    return url.rstrip("/")


def trusted(path: str) -> ssl.SSLContext:
    """Return how TLS to console and gateway is checked: by the public authorities, or those of a file."""
    return ssl.create_default_context(cafile=path or None)


def _log(event: str, **named: object) -> None:
    logger.info(json.dumps({"event": event, **named}))


async def _until_signal(connector: Connector) -> None:
    running = asyncio.create_task(connector.run())
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def main(words: Iterable[str] | None = None) -> None:
    """Read the command line, and enrol or run."""
    parser = argparse.ArgumentParser(prog="python -m entitlements.edge.connector", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    enrolment = verbs.add_parser("enrol", help="make a key, and enrol by a one-time code that is read from stdin")
    enrolment.add_argument("--console", required=True, help="the address of the console")
    running = verbs.add_parser("run", help="connect to the gateway, and relay")
    running.add_argument("--allow", action="append", required=True, metavar="HOST:PORT", help="may be repeated")
    running.add_argument("--gateway", action="append", help="the address of the gateway, or of each node")
    for each in (enrolment, running):
        each.add_argument("--key", type=Path, required=True, help="the key file of this connector")
        each.add_argument("--ca", default="", help="a file with the authorities of console and gateway")
    options = parser.parse_args(None if words is None else list(words))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.verb == "enrol":
            code = sys.stdin.readline().strip()
            enrol(checked_address(options.console), code, options.key, trusted(options.ca))
            return
        identity = Identity.read(options.key)
        gateways = [checked_address(each) for each in options.gateway or [identity.gateway]]
        allowed = frozenset(rules.read_relayed(options.allow))
        asyncio.run(_until_signal(Connector(identity, gateways, allowed, trusted(options.ca))))
    except (Unusable, DomainError, OSError) as why:
        sys.exit(str(why))
