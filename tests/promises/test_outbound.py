"""The one way out, for all that goes out for a system: calls, tokens of its credential, its document, its issuer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from pytest_django.fixtures import Settings

from entitlements.errors import DomainError
from entitlements.rest_apis import sources
from entitlements.secrets.vault import Credential
from entitlements.upstream import authorization, egress, reach, upstream
from entitlements.upstream.endpoint import Endpoint, Sent
from entitlements.upstream.reach import Stage
from entitlements.upstream.upstream import Target
from tests.promises.table import MCP, REST, REST_BY_MCP, VENDOR, cells

pytestmark = pytest.mark.loopback
PUBLIC = "93.184.215.14"

type Visit = Callable[[str], Awaitable[object]]


async def call_mcp(host: str) -> object:
    """Ask an MCP server, as discovery and a call do."""
    return await upstream.tools(Target(f"https://{host}/mcp"))


async def call_rest(host: str) -> object:
    """Send a request of a REST API over the pool of its system."""
    url = f"https://{host}/api"
    egress.check_url(url)
    async with egress.client(seconds=5) as http:

        async def take(answer: object) -> object:
            return answer

        return await Endpoint(url).send(http, Sent("GET", "/notes", {}, None), take)


async def document(host: str) -> object:
    """Fetch an OpenAPI document."""
    return await asyncio.to_thread(sources.fetch, f"https://{host}/openapi.json")


async def keys(host: str) -> object:
    """Fetch the metadata or the keys of a vendor's or a trusted issuer."""
    return await egress.fetch_json(f"https://{host}/.well-known/oauth-authorization-server")


async def _token(**settings: str) -> object:
    known = {"client_id": "mandate", "client_authentication": "client_secret_post", **settings}
    credential = Credential("Authorization", "", b"canary-client-secret", kind="oauth_client", settings=known)
    return await authorization.of(credential).headers(authorization.Request("GET", "https://api.example/", {}))


async def token_endpoint(host: str) -> object:
    """Ask the token endpoint of a credential."""
    return await _token(token_url=f"https://{host}/token")


async def token_issuer(host: str) -> object:
    """Find the token endpoint of a credential by its issuer."""
    return await _token(issuer=f"https://{host}")


VISITS: dict[str, tuple[Visit, ...]] = {
    MCP: (call_mcp, token_endpoint, token_issuer),
    REST_BY_MCP: (call_rest, token_endpoint, token_issuer),
    REST: (call_rest, document),
    VENDOR: (keys,),
}
"""What goes out for a system of each way."""
INNER = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "127.0x0.0.1", "0.0.0.0", "0"),
    *("127。0。0。1", "①27.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]"),
    *("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200"),
    *("[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "10.0.0.1", "192.168.0.1", "localhost", "localhost.", "LOCALHOST"),
)


@dataclass
class Wires:
    """Where sockets were connected to, and what a resolver says: each time the next of its answers."""

    answers: list[tuple[str, ...]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Wires:
    """Stand in for the resolver and note each connection, both where Python hands them to the system."""
    settings.DEMO = False
    found, lock = Wires(), threading.Lock()
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - as the library's
        if host != "rebinding.example":
            return real(host, port, *args, **named)
        with lock:
            found.asked.append(host)
            said = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in said]

    async def connect(_loop: object, _socket: socket.socket, address: Any) -> None:  # noqa: ANN401 - as above
        found.connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    return found


def stage(visit: Visit, host: str) -> Stage:
    """Return at which stage a visit is refused."""
    with pytest.raises((DomainError, aiohttp.ClientError, OSError)) as raised:
        asyncio.run(_visited(visit, host))
    why = raised.value
    return reach.stage(why if isinstance(why, DomainError) else egress._forbidden(why) or _unreachable(why))


async def _visited(visit: Visit, host: str) -> object:
    return await visit(host)


def _unreachable(why: BaseException) -> DomainError:
    found = egress.Unreachable()
    found.__cause__ = why
    return found


@cells("inner address", MCP, REST_BY_MCP, REST, VENDOR)
def test_no_spelling_of_an_inner_address_is_connected_to(wires: Wires, way: str) -> None:
    for visit in VISITS[way]:
        for host in INNER:
            said = stage(visit, host)
            assert said in (Stage.PRIVATE, Stage.ADDRESS, Stage.TOKEN_ENDPOINT, Stage.NAME), (
                visit.__name__,
                host,
                said,
            )
    assert wires.connected == []


@cells("rebinding", MCP, REST_BY_MCP, REST, VENDOR)
def test_a_connection_goes_to_the_address_that_was_checked(wires: Wires, way: str) -> None:
    for visit in VISITS[way]:
        for inner in ("127.0.0.1", "169.254.169.254", "10.0.0.1"):
            wires.answers, wires.connected, wires.asked = [(PUBLIC,), (inner,)], [], []
            assert stage(visit, "rebinding.example") in (Stage.CONNECTING, Stage.TOKEN_ENDPOINT, Stage.PRIVATE)
            assert set(wires.connected) == {PUBLIC}, "the answer that was checked, and none that came later"
            wires.answers, wires.connected = [(PUBLIC, inner)], []
            assert stage(visit, "rebinding.example") in (Stage.PRIVATE, Stage.TOKEN_ENDPOINT)
            assert wires.connected == [], "one bad address among good ones"
