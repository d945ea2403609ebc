"""The way out into a system's own network: opened for it alone, never to ourselves, pinned, over the company's TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_django.fixtures import Settings

from entitlements.errors import DomainError
from entitlements.networks.network import Network
from entitlements.upstream import egress, own_addresses, reach, upstream
from entitlements.upstream.reach import Stage
from entitlements.upstream.upstream import Target
from tests.entitlements.networks.certificates import Authority, Pair

pytestmark = pytest.mark.loopback
COMPANY, STRANGER = Authority(), Authority("Another CA")
TEN = (ip_network("10.20.0.0/16"), ip_network("fd00:1::/64"))


@pytest.mark.parametrize("host", ["10.20.3.4", "[fd00:1::7]"])
def test_a_network_opens_its_addresses_for_its_system_by_https_alone(host: str, settings: Settings) -> None:
    settings.DEMO = False
    egress.check_url(f"https://{host}/mcp", Network(TEN))
    for url, way in ((f"http://{host}/mcp", Network(TEN)), (f"https://{host}/", None), (f"https://{host}/", Network())):
        with pytest.raises(egress.ForbiddenAddress):
            egress.check_url(url, way)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.21.0.1", "0.0.0.0", "[::ffff:10.20.3.4]"]
)
def test_what_is_not_of_the_network_stays_shut(host: str, settings: Settings) -> None:
    settings.DEMO = False
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    way = Network(everything if host != "10.21.0.1" else TEN)
    with pytest.raises(egress.PrivateAddress):
        egress.check_url(f"https://{host}/mcp", way)


def test_no_network_leads_to_mandate_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO, settings.EDGE_URL = False, "https://10.20.9.9"
    monkeypatch.setattr(own_addresses, "_known", {})
    monkeypatch.setattr(own_addresses, "_read_at", [])
    own_addresses.refresh_now()
    with pytest.raises(egress.PrivateAddress):
        egress.check_url("https://10.20.9.9/mcp", Network(TEN))
    egress.check_url("https://10.20.9.8/mcp", Network(TEN))


def test_this_machine_is_known_by_its_own_addresses() -> None:
    assert own_addresses.holds("127.0.0.1")
    assert not own_addresses.holds("10.255.255.254")
    assert not own_addresses.holds("no address")


def resolving(monkeypatch: pytest.MonkeyPatch, *found: str) -> Callable[[], None]:
    """Let each name resolve to these addresses, in the loop that runs when the result is called."""

    async def answers(_host: object, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return lambda: monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)


@pytest.mark.parametrize(
    "found", [("10.20.0.7", "10.21.0.7"), ("10.20.0.7", "127.0.0.1"), ("169.254.169.254",), ("10.20.0.7", "8.8.8.8.8")]
)
def test_a_name_with_one_address_outside_of_the_network_is_refused(
    found: tuple[str, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEMO = False
    begin = resolving(monkeypatch, *found)

    async def visit() -> None:
        begin()
        await upstream.tools(Target("https://rebinding.example/mcp", network=Network(TEN)))

    with pytest.raises(DomainError) as raised:
        asyncio.run(visit())
    assert reach.stage(raised.value) is Stage.PRIVATE


async def tools(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    results = {
        "server/discover": {"supportedVersions": ["2026-07-28"]},
        "tools/list": {"tools": [{"name": "now", "inputSchema": {"type": "object"}}]},
    }
    return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": results[body["method"]]})


def asked(
    folder: Path, way: Network | None, server: Pair, *, trusts: str = "", begin: Callable[[], None] | None = None
) -> list[str]:
    """Ask a server on this machine for its tools over TLS; with `trusts` it asks for a certificate of that CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=trusts or None)
    context.verify_mode = ssl.CERT_REQUIRED if trusts else ssl.CERT_NONE
    (folder / "server.pem").write_text(server.key + server.certificate)
    context.load_cert_chain(folder / "server.pem")

    async def run() -> list[str]:
        app = web.Application()
        app.router.add_post("/mcp", tools)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        host = "localhost" if begin is None else "erp.example"
        if begin is not None:
            begin()
        try:
            return [tool["name"] for tool in await upstream.tools(Target(f"https://{host}:{port}/mcp", network=way))]
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def test_a_company_ca_replaces_the_public_roots(settings: Settings, tmp_path: Path) -> None:
    settings.DEMO = True
    server = COMPANY.issue("localhost")
    assert asked(tmp_path, Network(company_ca=COMPANY.pem), server) == ["now"]
    for way in (None, Network(company_ca=STRANGER.pem)):
        with pytest.raises(DomainError) as raised:
            asked(tmp_path, way, server)
        assert reach.stage(raised.value) is Stage.TLS


def test_a_system_that_asks_for_a_client_certificate_gets_it(settings: Settings, tmp_path: Path) -> None:
    settings.DEMO = True
    server, ours, theirs = COMPANY.issue("localhost"), COMPANY.for_client(), STRANGER.for_client()

    def way(pair: Pair) -> Network:
        return Network(company_ca=COMPANY.pem, chain=pair.certificate, key=pair.key.encode())

    assert asked(tmp_path, way(ours), server, trusts=COMPANY.pem) == ["now"]
    for wrong in (way(theirs), Network(company_ca=COMPANY.pem)):
        with pytest.raises(DomainError):
            asked(tmp_path, wrong, server, trusts=COMPANY.pem)


def test_the_connection_goes_to_the_address_that_was_vetted_under_the_name_of_the_system(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.DEMO = True
    begin = resolving(monkeypatch, "127.0.0.1")
    assert asked(tmp_path, Network(company_ca=COMPANY.pem), COMPANY.issue("erp.example"), begin=begin) == ["now"]
    with pytest.raises(DomainError) as raised:
        asked(tmp_path, Network(company_ca=COMPANY.pem), COMPANY.issue("127.0.0.1"), begin=begin)
    assert reach.stage(raised.value) is Stage.TLS
