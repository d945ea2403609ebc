"""A system in a network namespace of its own, at a private address: reached where its network is open, and only there.

The namespace, its two ends of a cable and the server in it are made here and taken away again. It takes root.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from entitlements.errors import DomainError
from entitlements.networks.network import Network
from entitlements.upstream import own_addresses, reach, upstream
from entitlements.upstream.reach import Stage
from entitlements.upstream.upstream import Target
from tests import waits
from tests.entitlements.networks import mcp_server
from tests.entitlements.networks.certificates import Authority

pytestmark = pytest.mark.enable_socket
COMPANY = Authority()
PORT = 8443


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=waits.SECONDS)


@dataclass
class Premises:
    """A namespace with a server at `there`; `here` is our end of the cable."""

    here: str
    there: str
    server: subprocess.Popen[str]

    @property
    def way(self) -> Network:
        """The network that two people would have agreed on."""
        return Network((ip_network(f"{self.there}/32"), ip_network(f"{self.here}/32")), COMPANY.pem)

    def arrived(self) -> list[str]:
        """End the server, and return which requests arrived."""
        self.server.terminate()
        return self.server.communicate(timeout=waits.SECONDS)[0].split()


@pytest.fixture
def premises(tmp_path: Path) -> Iterator[Premises]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making a network namespace takes root and the program ip")
    word, third, fourth = secrets.token_hex(3), secrets.randbelow(254) + 1, secrets.randbelow(62) * 4
    name, ours, theirs = f"mandate-{word}", f"mo{word}", f"mt{word}"
    here, there = f"10.203.{third}.{fourth + 1}", f"10.203.{third}.{fourth + 2}"
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as why:
        pytest.skip(f"no network namespace can be made here: {why.stderr.decode().strip()}")
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("addr", "add", f"{here}/30", "dev", ours)
        ip("link", "set", ours, "up")
        ip("-n", name, "addr", "add", f"{there}/30", "dev", theirs)
        ip("-n", name, "link", "set", theirs, "up")
        pair = COMPANY.issue(there, here, "erp.example")
        (tmp_path / "server.pem").write_text(pair.key + pair.certificate)
        command = ["ip", "netns", "exec", name, sys.executable, mcp_server.__file__, there, str(PORT)]
        with subprocess.Popen([*command, str(tmp_path / "server.pem")], stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "listens\n"
                yield Premises(here, there, server)
            finally:
                server.kill()
    finally:
        ip("netns", "del", name)  # the cable goes with it


@pytest.fixture(autouse=True)
def production(settings: Settings) -> None:
    settings.DEMO = False


def asked(host: str, way: Network | None, monkeypatch: pytest.MonkeyPatch, *found: str) -> list[str]:
    """Ask the server of `host` for its tools; a name resolves to what was `found`."""

    async def answers(_host: object, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    async def visit() -> list[str]:
        if found:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)
        target = Target(f"https://{host}:{PORT}/mcp", network=way)
        return [tool["name"] for tool in await upstream.tools(target)]

    return asyncio.run(visit())


def stage(host: str, way: Network | None, monkeypatch: pytest.MonkeyPatch, *found: str) -> Stage:
    """Return at which stage it is refused."""
    with pytest.raises(DomainError) as raised:
        asked(host, way, monkeypatch, *found)
    return reach.stage(raised.value)


def test_a_private_address_is_reached_for_the_system_whose_network_is_open(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stage(premises.there, None, monkeypatch) is Stage.PRIVATE
    assert stage(premises.there, Network((ip_network("10.204.0.0/16"),), COMPANY.pem), monkeypatch) is Stage.PRIVATE
    assert asked(premises.there, premises.way, monkeypatch) == ["now"]
    assert premises.arrived() == ["server/discover", "tools/list"]


def test_a_name_is_pinned_and_refused_when_it_is_rebound(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("erp.example", premises.way, monkeypatch, premises.there) == ["now"]
    for rebound in ("127.0.0.1", "169.254.169.254", "10.204.0.1", premises.here):
        assert stage("erp.example", premises.way, monkeypatch, rebound) is Stage.PRIVATE
        assert stage("erp.example", premises.way, monkeypatch, premises.there, rebound) is Stage.PRIVATE
    assert premises.arrived() == ["server/discover", "tools/list"]


def test_our_own_end_of_the_cable_is_never_reached(premises: Premises, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((premises.here, PORT)) as ours:
        ours.settimeout(waits.MOMENT)
        assert stage(premises.here, premises.way, monkeypatch) is Stage.PRIVATE
        with pytest.raises(TimeoutError):
            ours.accept()
    monkeypatch.setattr(own_addresses, "holds", lambda _: False)  # what refused it was this rule
    with pytest.raises(DomainError) as raised:
        asked(premises.here, premises.way, monkeypatch)
    assert reach.stage(raised.value) is Stage.CONNECTING
