"""FastMCP as a vendor: its own issuer is the audience, and the official Python client carries the ID-JAG to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client as McpClient
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pytest_django.fixtures import Settings

from scripts.devservers import free_port
from tests.conformance import servers

if TYPE_CHECKING:
    from tests.entitlements.vendors.worlds import VendorWorld

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT_THERE = "agent-4711"


@dataclass
class Vendor:
    """Where the vendor is, and the company whose identity side it trusts."""

    base: str
    world: VendorWorld

    @property
    def issuer(self) -> str:
        """Its issuer as its own metadata has it, with the slash that it adds."""
        return f"{self.base}/"

    @property
    def resource(self) -> str:
        """Its MCP endpoint."""
        return f"{self.base}/mcp"


@dataclass
class Memory:
    """What a client stores."""

    tokens: OAuthToken | None = None
    assertions: list[str] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        """Return what is stored."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store it."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return nothing: the client is configured."""
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Never: nothing is registered here."""
        raise AssertionError(client_info)


@pytest.fixture
def vendor(settings: Settings) -> Iterator[Vendor]:
    """Run a node of ours and the vendor, each a process; the vendor finds our keys by our own discovery."""
    from tests.entitlements.vendors import worlds  # noqa: PLC0415
    from tests.nodes.edge.test_process import Wire  # noqa: PLC0415
    from tests.nodes.gateway import world as gateways  # noqa: PLC0415

    port, there = free_port(), free_port()
    ours, theirs = f"http://localhost:{port}", f"http://localhost:{there}"
    settings.CONSOLE_URL = settings.EDGE_URL = settings.GATEWAY_URL = ours
    settings.DEMO = True  # the vendor is on this machine
    program = ["-m", "tests.conformance.fastmcp_vendor", str(there), theirs, theirs, f"{ours}/idp", "", CLIENT_THERE]
    discovery = f"{theirs}/.well-known/oauth-authorization-server"
    with (
        servers.serving(program, discovery),
        gateways.gateway(port=port, CONSOLE_URL=ours, EDGE_URL=ours, GATEWAY_URL=ours),
    ):
        world = worlds.vendor_world(f"{theirs}/", f"{theirs}/mcp")
        wire = Wire(ours)
        world.edge.http = wire  # type: ignore[assignment] # it posts the same
        yield Vendor(theirs, world)
        wire.http.close()


async def who_is_acted_for(vendor: Vendor, memory: Memory) -> dict[str, Any]:
    """Call the vendor's tool as the official client does: the server is configured, never discovered."""

    async def assertion(audience: str, resource: str) -> str:
        token = await asyncio.to_thread(vendor.world.id_jag, audience=audience, resource=resource)
        memory.assertions.append(token)
        return token

    provider = IdentityAssertionOAuthProvider(
        server_url=vendor.resource,
        storage=memory,
        client_id=CLIENT_THERE,
        client_secret="unused-there",
        issuer=vendor.issuer,
        assertion_provider=assertion,
    )
    async with (
        httpx2.AsyncClient(auth=provider, trust_env=False) as http,
        McpClient(streamable_http_client(vendor.resource, http_client=http), mode="auto") as client,
    ):
        result = await client.call_tool("whoami", {})
    assert not result.is_error, result
    return dict(result.structured_content or {})


def redeemed(vendor: Vendor, assertion: str, client: str = CLIENT_THERE) -> httpx2.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion,
        "client_id": client,
        "resource": vendor.resource,
    }
    return httpx2.post(f"{vendor.base}/token", data=form, trust_env=False)


def test_a_client_calls_the_vendors_tool_for_a_person_with_our_assertion(vendor: Vendor) -> None:
    from audit.models import Event  # noqa: PLC0415
    from tests.entitlements.edge import worlds as edge_worlds  # noqa: PLC0415

    memory = Memory()
    answer = asyncio.run(who_is_acted_for(vendor, memory))
    (assertion,) = memory.assertions
    claims = edge_worlds.peek(assertion)
    assert answer == {"sub": claims["sub"], "client": CLIENT_THERE, "scopes": ["maps:read"]}
    assert claims["aud"] == vendor.issuer
    issued = Event.objects.get(action="token.issued")
    assert issued.detail["audience"] == vendor.issuer
    assert "system:maps" in issued.about

    assert redeemed(vendor, assertion).json()["error"] == "invalid_grant"  # it was used
    assert redeemed(vendor, vendor.world.id_jag(audience=vendor.issuer, resource=vendor.resource)).status_code == 200

    refused = vendor.world.exchange(audience=vendor.base, resource=vendor.resource)  # without the slash
    assert refused.error[:2] == (400, "invalid_target")
    elsewhere = vendor.world.edge.id_jag()  # for our own server
    assert redeemed(vendor, elsewhere).json()["error"] == "invalid_grant"

    vendor.world.edit(issues=False)
    assert vendor.world.exchange(audience=vendor.issuer, resource=vendor.resource).error[2] == "vendor_switched_off"
