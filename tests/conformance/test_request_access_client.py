"""The official Python client, unmodified: a sign-in without access, a request, and the tool in the same sign-in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx2
import pytest
from django.db import connections
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from audit.context import SYSTEM
from tests import waits
from tests.conformance import desk
from tests.conformance.test_sign_in_client import Desk, call, here, node, session

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway, World

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["here", "node"]


def without_access(here: World) -> None:
    from entitlements.grants import grants  # noqa: PLC0415 - the settings are known only now
    from entitlements.grants.models import Grant  # noqa: PLC0415

    for grant in Grant.objects.filter(agent=here.agent):
        grants.revoke(grant.pk, by=SYSTEM, reason="over")


def approve(request: str) -> None:
    """Approve the request by the API, each stage as its approver."""
    from governance.approvals.models import Approval  # noqa: PLC0415
    from tests.entitlements.api import client  # noqa: PLC0415

    address = f"/api/v1/requests/{request}"
    for stage in Approval.objects.filter(request_id=UUID(request)).order_by("position"):
        approver = client.of(stage.waiting_for.all()[0])
        etag = approver.get(address).json()["etag"]
        answer = approver.post(f"{address}/approve", {}, headers={"If-Match": etag})
        assert answer.status_code == 200, answer.json()
    connections.close_all()


def test_what_a_person_requests_at_the_client_appears_there_without_a_new_sign_in(node: Gateway, here: World) -> None:
    without_access(here)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(desk.Browser(here.person))
    told: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:  # noqa: ANN401 - whatever the SDK hands on
        told.put_nowait(getattr(message, "method", ""))

    async def request(client: McpClient) -> str:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["request_access"]
        listed = (await client.call_tool("request_access", {})).structured_content
        picked = {"entitlement": here.entitlement.scope, "reason": "Alice plans a trip."}
        assert picked["entitlement"] in [option["entitlement"] for option in listed["requestable"]]
        asked = await client.call_tool("request_access", picked)
        assert not asked.is_error, asked
        return str(asked.structured_content["request"])

    async def story() -> None:
        provider = place.provider(server)
        async with (
            httpx2.AsyncClient(auth=provider, trust_env=False) as http,
            McpClient(streamable_http_client(server, http_client=http), mode="legacy", message_handler=hear) as client,
        ):
            made = await request(client)
            assert place.tokens is not None
            signed_in_with = place.tokens.access_token
            await asyncio.to_thread(approve, made)
            assert await asyncio.wait_for(told.get(), waits.SECONDS) == "notifications/tools/list_changed"
            assert [tool.name for tool in (await client.list_tools()).tools] == ["get_current_time"]
            assert (await call(client))["timezone"] == "Europe/Paris"
        async with session(server, provider) as stateless:
            assert [tool.name for tool in (await stateless.list_tools()).tools] == ["get_current_time"]
        assert (len(place.browser.visits), place.tokens.access_token) == (1, signed_in_with)

    asyncio.run(story())
