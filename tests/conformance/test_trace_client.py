"""The official Python client, which sends no trace: one trace from the sign-in over the request to the upstream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from tests.conformance import desk
from tests.conformance.test_request_access_client import approve, without_access
from tests.conformance.test_sign_in_client import Desk, call, here, node, session

if TYPE_CHECKING:
    from tests.entitlements.gateway.world import Gateway, World

pytestmark = [pytest.mark.loopback, pytest.mark.django_db(transaction=True)]
__all__ = ["here", "node"]
STORY = [
    "sign_in.agreed",
    "session.begun",
    "token.issued",
    "tool_list.shown",
    "request.submitted",
    "request_access.called",
    "approval.given",
    "grant.issued",
    "tool_list.shown",
    "call.allowed",
    "call.finished",
]


def play(node: Gateway, here: World) -> None:
    """Sign in without access, request it at the client, have it approved, and call."""
    without_access(here)
    server, place = f"{node.base}/gw/{here.system.slug}/mcp", Desk(desk.Browser(here.person))

    async def story() -> None:
        async with session(server, place.provider(server)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["request_access"]
            picked = {"entitlement": here.entitlement.scope, "reason": "Alice plans a trip."}
            asked = await client.call_tool("request_access", picked)
            assert not asked.is_error, asked
            await asyncio.to_thread(approve, str(asked.structured_content["request"]))
            await asyncio.sleep(0.6)  # a node hears of it at once, and reads every half second in any case
            assert [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools] == [desk.TOOL]
            await call(client)

    asyncio.run(story())


def test_one_trace_holds_the_whole_story_on_one_page_and_in_one_answer(node: Gateway, here: World) -> None:
    from audit.models import Event  # noqa: PLC0415 - the settings are known only now
    from entitlements.sessions.models import Session  # noqa: PLC0415
    from tests import make  # noqa: PLC0415
    from tests.entitlements.api import client as api  # noqa: PLC0415
    from tests.entitlements.gateway import world  # noqa: PLC0415
    from tests.governance.console import visits  # noqa: PLC0415

    play(node, here)
    world.wait_until(lambda: Event.objects.filter(action="call.finished").exists(), 5)
    trace = Session.objects.exclude(trace="").get().trace

    auditor = make.person("audrey", roles=["auditor"])
    told = api.of(auditor).get(f"/api/v1/audit-events?about=trace:{trace}").json()["results"]
    assert [event["action"] for event in told if event["action"] in STORY] == STORY
    assert {event["trace"] for event in told} == {trace}
    page = visits.as_(auditor).get(reverse("audit"), {"about": f"trace:{trace}"}).content.decode()
    for step in ("Sign-in", "Request", "Approval", "Token", "List", "Call", "Upstream"):
        assert f'data-label="Part">{step}<' in page, step
