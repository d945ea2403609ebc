"""An answer that comes at once is JSON, or one event for a client that names events first."""

from __future__ import annotations

import json

import pytest

from entitlements.gateway.http import Message, Request
from tests.nodes.gateway.conversation.desk import LegacyClient, asks
from tests.nodes.gateway.world import Gateway, World


@pytest.mark.parametrize(
    ("accept", "gets"),
    [
        ("application/json, text/event-stream", "json"),
        ("text/event-stream, application/json", "events"),
        ("text/event-stream;q=0.5, application/json", "json"),
        ("application/json;q=0.5, text/event-stream", "events"),
        ("text/event-stream;q=0", "json"),
        ("text/event-stream; q=much, application/json;q=0.001", "json"),
        ("TEXT/EVENT-STREAM", "events"),
        ("*/*", "json"),
        ("", "json"),
    ],
)
def test_a_client_that_names_events_first_gets_them(accept: str, gets: str) -> None:
    request = Request("POST", "/gw/crm/mcp", [(b"accept", accept.encode())], no_receive, no_send)
    assert request.prefers_events is (gets == "events")


async def no_receive() -> Message:
    raise AssertionError


async def no_send(_: Message) -> None:
    raise AssertionError


def test_an_answer_that_comes_at_once_is_one_event_for_who_wants_that(node: Gateway, here: World) -> None:
    client = LegacyClient(node, here)
    headers = {**client.headers, "Accept": "text/event-stream, application/json"}
    for method in ("tools/list", "tools/call"):
        asked = asks(method, 9, name=here.tool.name, arguments=here.arguments)
        answer = node.post(here.system.slug, asked, client.token, headers=headers)
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.text.splitlines()
        assert lines[0] == "event: message"  # without an id: nothing follows it
        assert json.loads(lines[1].removeprefix("data: "))["id"] == 9
