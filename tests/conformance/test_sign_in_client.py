"""The official Python client, unmodified: a 401 leads a person to the one question, and a refresh goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from django.conf import settings
from django.db import connections
from mcp import Client as McpClient
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from audit.context import SYSTEM
from scripts.devservers import free_port
from tests.conformance import servers

if TYPE_CHECKING:
    from tests.entitlements.gateway.world import Gateway, World

pytestmark = [pytest.mark.loopback, pytest.mark.django_db(transaction=True)]
BACK = AnyUrl("http://127.0.0.1:53124/callback")
CLIENT = "desk-client"


@pytest.fixture
def node(live_server: LiveServer, settings: Settings) -> Iterator[Gateway]:
    """Run a node beside the console: each is told where the other is."""
    from tests.entitlements.gateway import world  # noqa: PLC0415 - the settings are known only now

    port = free_port()
    settings.CONSOLE_URL = live_server.url.replace("127.0.0.1", "localhost")
    settings.GATEWAY_URL = settings.RELAY_URL = f"http://127.0.0.1:{port}"
    settings.EDGE_URL = settings.CONSOLE_URL
    addresses = {"CONSOLE_URL": settings.CONSOLE_URL, "GATEWAY_URL": settings.GATEWAY_URL}
    with world.gateway(port=port, **addresses) as running:
        yield running


@pytest.fixture
def here(node: Gateway, tmp_path: Path) -> Iterator[World]:
    """Grant alice's agent one tool of a real server, at two systems, and register its public client."""
    from entitlements.catalog import systems  # noqa: PLC0415
    from entitlements.clients.models import Client  # noqa: PLC0415
    from entitlements.keys import signing  # noqa: PLC0415
    from entitlements.secrets import vault  # noqa: PLC0415
    from entitlements.upstream import upstream  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.entitlements.gateway import world  # noqa: PLC0415

    command = [servers.program("mcp-server-time"), "--local-timezone", "UTC"]
    with servers.upstream(tmp_path, "time", *command) as server:
        made = world.build(server.url, server.secret, tool="some_tool")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "DEMO", True)  # the server is on this machine
            raw = asyncio.run(upstream.discover(made.system))
        tool = make.tool(made.system, "get_current_time", definition=raw[0])
        made.entitlement = make.entitlement(made.system, tool, scope=f"{made.system.slug}:time")
        make.grant(made.agent, made.entitlement, people=[made.person])
        systems.ensure_all_systems()
        clock = make.system("clock", upstream_url=server.url)
        vault.set_secret(clock, kind="bearer", value=server.secret, by=SYSTEM)
        tool = make.tool(clock, "get_current_time", definition=raw[0])
        make.grant(made.agent, make.entitlement(clock, tool, scope="clock:time"), people=[made.person])
        client, _ = make.client(made.agent, CLIENT, auth=Client.Auth.NONE)
        make.rewrite(client, redirect_uris="http://127.0.0.1/callback")
        signing.ensure(f"as/{made.system.slug}")
        assert node.base
        yield made


@dataclass
class Desk:
    """A client on a person's desk: what it stores, and the browser that it opens."""

    cookies: dict[str, str]
    tokens: OAuthToken | None = None
    visits: list[str] = field(default_factory=list)
    brought: dict[str, list[str]] = field(default_factory=dict)

    async def get_tokens(self) -> OAuthToken | None:
        """Return what is stored."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store it."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        """Return who we are: registered beforehand, without a secret."""
        return OAuthClientInformationFull(
            client_id=CLIENT,
            redirect_uris=[BACK],
            token_endpoint_auth_method="none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Never: nothing is registered here."""
        raise AssertionError(client_info)

    async def open_browser(self, address: str) -> None:
        """Read the question and allow it, as the person does."""
        self.visits.append(address)
        async with httpx2.AsyncClient(cookies=self.cookies, trust_env=False) as browser:
            page = await browser.get(address)
            assert page.status_code == 200, (page.status_code, page.headers.get("location"), page.text)
            form = re.findall(r'<input type="hidden" name="([a-z_]+)"(?: value="([^"]*)")?', page.text)
            sent = {name: unescape(value) for name, value in form} | {"allow": "1"}
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
            answer = await browser.post(address, data=sent, headers={"Referer": address, "Origin": origin})
            assert answer.status_code == 302, answer.text
            self.brought = parse_qs(urlsplit(answer.headers["location"]).query)

    async def wait(self) -> AuthorizationCodeResult:
        """Return what the browser brought."""
        return AuthorizationCodeResult(**{name: self.brought[name][0] for name in ("code", "state", "iss")})

    def provider(self, server: str) -> OAuthClientProvider:
        """Return the SDK's own sign-in, as it is."""
        metadata = OAuthClientMetadata(redirect_uris=[BACK], token_endpoint_auth_method="none")
        return OAuthClientProvider(
            server, metadata, self, redirect_handler=self.open_browser, callback_handler=self.wait
        )


@asynccontextmanager
async def session(server: str, provider: OAuthClientProvider) -> AsyncIterator[McpClient]:
    async with (
        httpx2.AsyncClient(auth=provider, trust_env=False) as http,
        McpClient(streamable_http_client(server, http_client=http), mode="auto") as client,
    ):
        yield client


async def call(client: McpClient, name: str = "get_current_time") -> Any:  # noqa: ANN401 - a result of the SDK
    result = await client.call_tool(name, {"timezone": "Europe/Paris"})
    assert not result.is_error, result
    return result.structured_content


def test_it_signs_in_calls_refreshes_and_signs_in_again_after_a_revocation(node: Gateway, here: World) -> None:
    from entitlements.token_families import families  # noqa: PLC0415
    from entitlements.token_families.models import TokenFamily  # noqa: PLC0415
    from tests.governance.console import visits  # noqa: PLC0415

    cookies = {name: each.value for name, each in visits.as_(here.person).cookies.items()}
    server, desk = f"{node.base}/gw/{here.system.slug}/mcp", Desk(cookies)

    def revoke() -> None:
        families.revoke(TokenFamily.objects.get().pk, by=SYSTEM, reason="lost")
        connections.close_all()

    async def story() -> None:
        provider = desk.provider(server)
        async with session(server, provider) as client:
            assert "get_current_time" in [tool.name for tool in (await client.list_tools()).tools]
            assert (await call(client))["timezone"] == "Europe/Paris"
            assert len(desk.visits) == 1
            assert desk.tokens is not None
            first = desk.tokens

            provider.context.token_expiry_time = 1.0  # as if five minutes had passed
            await call(client)
            assert desk.tokens.access_token != first.access_token
            assert desk.tokens.refresh_token not in {None, first.refresh_token}
            assert len(desk.visits) == 1

            await asyncio.to_thread(revoke)
            await asyncio.sleep(0.3)  # a node hears of it at once, and reads every half second in any case
            await call(client)
            assert len(desk.visits) == 2

    asyncio.run(story())
    assert TokenFamily.objects.count() == 2
    assert_one_sign_in_serves_every_system(node, here, Desk(cookies))


def assert_one_sign_in_serves_every_system(node: Gateway, here: World, desk: Desk) -> None:
    """At the address of all: two systems, one question, each call at its own system, and a refresh for both."""
    from audit.models import Event  # noqa: PLC0415

    names = sorted(f"{slug}__get_current_time" for slug in (here.system.slug, "clock"))

    async def story() -> None:
        provider = desk.provider(f"{node.base}/gw/mcp")
        async with session(f"{node.base}/gw/mcp", provider) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            assert set(names) <= set(listed)
            for name in names:
                await call(client, name)
            assert desk.tokens is not None
            first = desk.tokens
            provider.context.token_expiry_time = 1.0
            for name in names:
                await call(client, name)
            assert desk.tokens.access_token != first.access_token
            assert len(desk.visits) == 1

    asyncio.run(story())
    for slug in (here.system.slug, "clock"):
        assert Event.objects.filter(action="call.allowed", links__contains=[f"system:{slug}"]).count() >= 2
