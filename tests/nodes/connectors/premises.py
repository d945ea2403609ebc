"""A company's network for tests: a namespace that dials out over one cable, with a system that nothing reaches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from entitlements.catalog.models import System
from entitlements.connectors import connectors, proof
from entitlements.connectors.models import Connector
from tests import make, waits
from tests.entitlements.networks.certificates import Authority
from tests.nodes.gateway.scripted import Scripted

COMPANY = Authority()
PORT, INNER_PORT, GATEWAY_PORTS = 8443, 9443, (4431, 4432)
ROOT = Path(__file__).resolve().parents[3]
_LISTENING: list[socket.socket] = []
"""What is closed with its loop."""


@dataclass
class Premises:
    """A namespace: `here` is our end of the cable, `inside` an address that exists in there alone."""

    name: str
    here: str
    inside: str
    folder: Path

    def listening(self, port: int) -> socket.socket:
        """Listen inside of the namespace."""
        return self._within(lambda: socket.create_server((self.inside, port)))

    def connected(self, port: int) -> socket.socket:
        """Connect inside of the namespace."""
        return self._within(lambda: socket.create_connection((self.inside, port)))

    def _within(self, make: Callable[[], socket.socket]) -> socket.socket:
        """Make a socket in a thread that enters the namespace and ends there."""
        made: list[socket.socket] = []

        def enter() -> None:
            with Path(f"/run/netns/{self.name}").open() as space:
                os.setns(space.fileno(), os.CLONE_NEWNET)
            made.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join(waits.SECONDS)
        return made[0]

    def run(self, key: Path, *allowed: str) -> Process:
        """Run a connector in the namespace."""
        words = [word for each in allowed for word in ("--allow", each)]
        words += [word for port in GATEWAY_PORTS for word in ("--gateway", f"https://{self.here}:{port}")]
        log = self.folder / f"{secrets.token_hex(4)}.log"
        command = ["-m", "entitlements.edge.connector", "run", "--key", str(key), "--ca", str(self.folder / "ca.pem")]
        with log.open("wb") as file:
            child = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, *command, *words], cwd=ROOT, stderr=file
            )
        return Process(child, log)


@dataclass
class Process:
    """A connector that runs."""

    child: subprocess.Popen[bytes]
    log: Path

    def says(self, word: str) -> int:
        """Count the lines of its log that hold a word."""
        return sum(word in line for line in self.log.read_text().splitlines())

    def wait_until_connected(self, nodes: int) -> None:
        """Wait until it holds a connection to so many nodes."""
        waits.until(lambda: self.says('"connected"') - self.says('"disconnected"') == nodes)

    def kill(self) -> None:
        """Unplug it."""
        self.child.kill()
        self.child.wait(waits.SECONDS)


@dataclass
class Forwarder:
    """Forwards connections, and keeps every byte that passes."""

    passed: bytearray = field(default_factory=bytearray)
    connections: int = 0


@contextlib.contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(waits.SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(waits.SECONDS)
        loop.close()


async def _end_all() -> None:
    """Cancel what still runs, and close what listens and is connected."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    while _LISTENING:
        listening = _LISTENING.pop()
        asyncio.get_running_loop().remove_reader(listening.fileno())
        listening.close()
    await asyncio.sleep(0.1)


def forward(
    loop: asyncio.AbstractEventLoop,
    from_: socket.socket,
    connect: Callable[[], socket.socket],
    tls: ssl.SSLContext | None = None,
) -> Forwarder:
    """Forward from a socket that listens, over TLS if there is one, to what `connect` opens."""
    kept = Forwarder()
    _LISTENING.append(from_)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await reader.read(65536):
                kept.passed += octets
                writer.write(octets)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.connections += 1
        there, back = await asyncio.open_connection(sock=await asyncio.to_thread(connect))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, sock=from_, ssl=tls), loop).result(waits.SECONDS)
    return kept


class Listing(Scripted):
    """A scripted server that lists its tool, unless it is broken: then it refuses every request."""

    is_broken = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if self.is_broken:
            return web.Response(status=401)
        body = await request.json()
        if body["method"] == "tools/list":
            return self.result(body, {"tools": [{"name": "act", "inputSchema": {"type": "object"}}]})
        return await super().handle(request)


def system(loop: asyncio.AbstractEventLoop, listening: socket.socket, tls: ssl.SSLContext) -> Listing:
    """Serve an MCP server over TLS at a socket."""
    server, app = Listing(), web.Application()
    _LISTENING.append(listening)
    app.router.add_route("*", "/mcp", server.handle)

    async def serve() -> None:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=tls).start()

    asyncio.run_coroutine_threadsafe(serve(), loop).result(waits.SECONDS)
    return server


def tls_of(folder: Path, *hosts: str) -> ssl.SSLContext:
    """Return how a server of the company speaks TLS."""
    pair = COMPANY.issue(*hosts)
    path = folder / f"{secrets.token_hex(4)}.pem"
    path.write_text(pair.key + pair.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def premises(folder: Path) -> Iterator[Premises]:
    """Make the namespace and its cable, and take them away again. It takes root."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making a network namespace takes root and the program ip")
    word, third, fourth = secrets.token_hex(3), secrets.randbelow(254) + 1, secrets.randbelow(62) * 4
    name, ours, theirs = f"mandate-{word}", f"mo{word}", f"mt{word}"
    here, there, inside = f"10.205.{third}.{fourth + 1}", f"10.205.{third}.{fourth + 2}", f"10.206.{third}.{fourth + 1}"
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as why:
        pytest.skip(f"no network namespace can be made here: {why.stderr.decode().strip()}")
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("addr", "add", f"{here}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", name, "addr", "add", f"{there}/30", "dev", theirs)
        _ip("-n", name, "link", "set", theirs, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{inside}/32", "dev", "lo")
        (folder / "ca.pem").write_text(COMPANY.pem)
        yield Premises(name, here, inside, folder)
    finally:
        _ip("netns", "del", name)


def enrolled(of: System, folder: Path, **more: str) -> tuple[Connector, Path]:
    """Make a connector of a system and its key file."""
    made = connectors.add(of, name="hall 3", by=make.analyst(), reason="for a test")
    key = Ed25519PrivateKey.generate()
    row = connectors.enrol(code=made.code, public_key=proof.public_text(key))
    return row, written(folder, key, connector=str(row.pk), system=of.slug, **more)


def written(folder: Path, key: Ed25519PrivateKey, *, connector: str, system: str) -> Path:
    """Write a key file as enrolment writes it."""
    path = folder / f"{secrets.token_hex(4)}.json"
    path.touch(0o600)
    kept = {"connector": connector, "system": system, "gateway": "https://gateway.example"}
    path.write_text(json.dumps({**kept, "private_key": proof.as_text(key.private_bytes_raw())}))
    return path


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=waits.SECONDS)
