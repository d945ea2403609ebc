"""The official Python client, unmodified: a 401 leads a person to the one question, and a refresh goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from django.db import connections
from mcp import Client as McpClient
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from audit.context import SYSTEM
from tests.conformance import desk

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.django_db(transaction=True)
BACK = AnyUrl("http://127.0.0.1:53124/callback")
node, here = desk.node, desk.here


@dataclass
class Desk:
    """A client on a person's desk: what it stores, and the browser that it opens."""

    browser: desk.Browser
    tokens: OAuthToken | None = None
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
            client_id=desk.CLIENT,
            redirect_uris=[BACK],
            token_endpoint_auth_method="none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Never: nothing is registered here."""
        raise AssertionError(client_info)

    async def open_browser(self, address: str) -> None:
        """Read the question and allow it, as the person does."""
        location = await asyncio.to_thread(self.browser.allow, address)
        self.brought = parse_qs(urlsplit(location).query)

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

    browser = desk.Browser(here.person)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(browser)

    def revoke() -> None:
        families.revoke(TokenFamily.objects.get().pk, by=SYSTEM, reason="lost")
        connections.close_all()

    async def story() -> None:
        provider = place.provider(server)
        async with session(server, provider) as client:
            assert "get_current_time" in [tool.name for tool in (await client.list_tools()).tools]
            assert (await call(client))["timezone"] == "Europe/Paris"
            assert len(browser.visits) == 1
            assert place.tokens is not None
            first = place.tokens

            provider.context.token_expiry_time = 1.0  # as if five minutes had passed
            await call(client)
            assert place.tokens.access_token != first.access_token
            assert place.tokens.refresh_token not in {None, first.refresh_token}
            assert len(browser.visits) == 1

            await asyncio.to_thread(revoke)
            await asyncio.sleep(0.3)  # a node hears of it at once, and reads every half second in any case
            await call(client)
            assert len(browser.visits) == 2

    asyncio.run(story())
    assert TokenFamily.objects.count() == 2
    assert_one_sign_in_serves_every_system(node, here, Desk(desk.Browser(here.person)))


def assert_one_sign_in_serves_every_system(node: Gateway, here: World, place: Desk) -> None:
    """At the address of all: two systems, one question, each call at its own system, and a refresh for both."""
    from audit.models import Event  # noqa: PLC0415

    names = sorted(f"{slug}__get_current_time" for slug in (here.system.slug, "clock"))

    async def story() -> None:
        provider = place.provider(f"{node.base}/gw/mcp")
        async with session(f"{node.base}/gw/mcp", provider) as client:
            listed = [tool.name for tool in (await client.list_tools()).tools]
            assert set(names) <= set(listed)
            for name in names:
                await call(client, name)
            assert place.tokens is not None
            first = place.tokens
            provider.context.token_expiry_time = 1.0
            for name in names:
                await call(client, name)
            assert place.tokens.access_token != first.access_token
            assert len(place.browser.visits) == 1

    asyncio.run(story())
    for slug in (here.system.slug, "clock"):
        assert Event.objects.filter(action="call.allowed", links__contains=[f"system:{slug}"]).count() >= 2
