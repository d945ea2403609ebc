"""A person's desk: a registered public client, a real server behind a node, and the browser in which people agree."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest
from django.conf import settings
from django.db import connections
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from audit.context import SYSTEM
from scripts.devservers import free_port
from tests import waits
from tests.conformance import servers

if TYPE_CHECKING:
    from entitlements.people.models import Person
    from tests.nodes.gateway.world import Gateway, World

CLIENT = "desk-client"
REDIRECT = "http://127.0.0.1/callback"
"""As it is registered; a client listens on whatever port it finds."""
TOOL = "get_current_time"
_FIELD = re.compile(r'<input type="hidden" name="([a-z_]+)"(?: value="([^"]*)")?')


@pytest.fixture
def node(live_server: LiveServer, settings: Settings) -> Iterator[Gateway]:
    """Run a node beside the console: each is told where the other is."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    port = free_port()
    settings.CONSOLE_URL = live_server.url.replace("127.0.0.1", "localhost")
    settings.GATEWAY_URL = settings.RELAY_URL = f"http://127.0.0.1:{port}"
    settings.EDGE_URL = settings.CONSOLE_URL
    addresses = {"CONSOLE_URL": settings.CONSOLE_URL, "GATEWAY_URL": settings.GATEWAY_URL}
    with world.gateway(port=port, **addresses) as running:
        yield running


@pytest.fixture
def here(node: Gateway, tmp_path: Path) -> Iterator[World]:
    """Grant alice's agent a tool of a real server, at two systems, and register its public client."""
    from entitlements.catalog import systems  # noqa: PLC0415
    from entitlements.secrets import vault  # noqa: PLC0415
    from entitlements.upstream import upstream  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.nodes.gateway import world  # noqa: PLC0415

    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path, "time", *command) as server:
        made = world.build(server.url, server.secret, tool="some_tool")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "DEMO", True)  # the server is on this machine
            raw = run(upstream.discover(made.system))
        tool = make.tool(made.system, TOOL, definition=raw[0])
        made.entitlement = make.entitlement(made.system, tool, scope=f"{made.system.slug}:time")
        make.grant(made.agent, made.entitlement, people=[made.person])
        systems.ensure_all_systems()
        clock = make.system("clock", upstream_url=server.url)
        vault.set_secret(clock, kind="bearer", value=server.secret, by=SYSTEM)
        tool = make.tool(clock, TOOL, definition=raw[0])
        make.grant(made.agent, make.entitlement(clock, tool, scope="clock:time"), people=[made.person])
        _register(made)
        assert node.base
        yield made


@pytest.fixture
def uncalled(node: Gateway) -> World:
    """The same for sign-ins that call nothing: no server stands behind the node."""
    from tests.nodes.gateway import world  # noqa: PLC0415

    made = world.build("http://localhost:1/mcp", tool=TOOL)
    _register(made)
    assert node.base
    return made


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end beside the loop that a browser may keep in this thread."""

    def begin() -> T:
        try:
            return asyncio.run(work)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as beside:
        return beside.submit(begin).result()


def _register(made: World) -> None:
    from entitlements.clients.models import Client  # noqa: PLC0415
    from entitlements.keys import signing  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    client, _ = make.client(made.agent, CLIENT, auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=REDIRECT)
    for issuer in ("idp", f"as/{made.system.slug}"):
        signing.ensure(issuer)


def end_sign_in() -> None:
    """End the one sign-in that still lives."""
    from entitlements.token_families import families  # noqa: PLC0415
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415

    families.revoke(TokenFamily.objects.get(ended_at=None).pk, by=SYSTEM, reason="lost")
    connections.close_all()


@dataclass
class Browser:
    """The browser of a person who is signed in and allows what a client asks for."""

    person: Person
    visits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sign the person in."""
        from tests.governance.console import visits  # noqa: PLC0415 - the settings are known only now

        self.cookies = {name: each.value for name, each in visits.as_(self.person).cookies.items()}

    def allow(self, address: str) -> str:
        """Read the question and allow it, as the person does; return where the client wants the answer."""
        self.visits.append(address)
        with httpx2.Client(cookies=self.cookies, trust_env=False, timeout=waits.SECONDS) as http:
            page = http.get(address)
            assert page.status_code == 200, (page.status_code, page.headers.get("location"), page.text)
            sent = {name: unescape(value) for name, value in _FIELD.findall(page.text)} | {"allow": "1"}
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
            answer = http.post(address, data=sent, headers={"Referer": address, "Origin": origin})
            assert answer.status_code == 302, answer.text
            return str(answer.headers["location"])

    def bring(self, address: str) -> None:
        """Allow it, and bring the answer to the client, which listens on this machine."""
        assert httpx2.get(self.allow(address), trust_env=False).status_code == 200
