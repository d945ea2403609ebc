"""A person's agent without access: one tool of ours, a request by it, and what is approved appears at once."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import all_systems
from entitlements.agents import agents
from entitlements.catalog import systems
from entitlements.catalog.models import System, Tool
from entitlements.decisions import own_connection
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.gateway import answers
from entitlements.gateway.access_requests import denied_calls
from entitlements.gateway.access_requests.requester import Ask, Requester, WorkQueue
from entitlements.grants import grants
from entitlements.node.refusals import Refused
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.request_access import answer
from governance.requests.models import AccessRequest
from tests import make, waits
from tests.nodes.gateway.test_eras import legacy
from tests.nodes.gateway.world import Gateway, World

# What may be requested everywhere is listed to a bound: what other tests of the folder left would fill it.
pytestmark = pytest.mark.usefixtures("emptied")
NAME = "request_access"
CHANGED = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'


@pytest.fixture
def empty(here: World) -> World:
    """Take the one grant away."""
    System.objects.filter(pk=here.system.pk).update(owner=make.person())
    grants.revoke(here.grant.pk, by=SYSTEM, reason="over")
    return here


def open_token(here: World) -> str:
    """Sign a token of a sign-in that was asked for no scope."""
    return here.token(scope="", agreed_scope="*")


def tools(node: Gateway, here: World, token: str) -> list[str]:
    answer = node.modern(here.system.slug, "tools/list", token)
    return [tool["name"] for tool in answer.json()["result"]["tools"]]


def call(node: Gateway, here: World, token: str, **arguments: object) -> dict[str, Any]:
    answer = node.modern(here.system.slug, "tools/call", token, name=NAME, arguments=arguments)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def approve(here: World) -> None:
    """Approve every stage of the agent's open request."""
    request = AccessRequest.objects.get(agent=here.agent, state="in_approval")
    for stage in Approval.objects.filter(request=request).order_by("position"):
        approvals.approve(request.pk, by=stage.waiting_for.all()[0])


def ours(here: World) -> list[tuple[str, str]]:
    """Return what the record says of the calls of our tool."""
    return [(event.outcome, event.code) for event in here.events() if event.action == "request_access.called"]


def test_who_has_nothing_sees_one_tool_requests_by_it_and_calls_what_was_approved(node: Gateway, empty: World) -> None:
    token, scope = open_token(empty), empty.entitlement.scope
    assert tools(node, empty, token) == [NAME]

    listed = call(node, empty, token)
    assert [option["entitlement"] for option in listed["structuredContent"]["requestable"]] == [scope]
    assert scope in listed["content"][0]["text"]
    asked = call(node, empty, token, entitlement=scope, reason="Alice plans a trip.")
    assert (asked["isError"], asked["resultType"], asked["structuredContent"]["is_new"]) == (False, "complete", True)
    again = call(node, empty, token, entitlement=scope, reason="Alice plans a trip.")["structuredContent"]
    assert (again["is_new"], again["request"]) == (False, asked["structuredContent"]["request"])
    assert node.call(empty, token).json()["result"]["isError"] is True  # not approved yet

    approve(empty)

    assert tools(node, empty, token) == [empty.tool.name]
    assert node.call(empty, token).json()["result"]["structuredContent"]["timezone"] == "UTC"
    assert ours(empty) == [("success", "")] * 3
    submitted = Event.objects.get(action="request.submitted", links__contains=[f"agent:{empty.agent.slug}"])
    of_call = Event.objects.filter(action="request_access.called", trace=submitted.trace)
    assert [f"request:{again['request']}" in event.links for event in of_call] == [True]


def test_a_scope_that_was_agreed_to_is_a_ceiling(node: Gateway, empty: World) -> None:
    narrow, carries = empty.token(scope="", agreed_scope=f"{empty.system.slug}:other"), empty.token(scope="")
    within = empty.token(scope="", agreed_scope=empty.entitlement.scope)
    make.grant(empty.agent, empty.entitlement, people=[empty.person])
    assert [tools(node, empty, token) for token in (narrow, carries)] == [[NAME], [NAME]]
    assert tools(node, empty, within) == [empty.tool.name]
    for token in (narrow, carries):
        assert node.call(empty, token).json()["result"]["_meta"]["mandate/denial"]["code"] == "scope_missing"


def test_a_list_that_is_not_empty_is_as_it_was(node: Gateway, here: World) -> None:
    assert tools(node, here, here.token()) == [here.tool.name]
    assert call(node, here, here.token())["structuredContent"] == {"requestable": []}


def test_an_agent_alone_sees_and_calls_no_such_tool(node: Gateway, empty: World) -> None:
    alone = empty.token(scope="", sub=empty.client.client_id, act=None, sid=None)
    assert tools(node, empty, alone) == []
    answer = node.modern(empty.system.slug, "tools/call", alone, name=NAME, arguments={})
    assert answer.json()["result"]["_meta"]["mandate/denial"]["code"] == "unknown_tool"
    assert ours(empty) == []


def test_a_suspended_agent_may_not_call_it(node: Gateway, empty: World) -> None:
    token = open_token(empty)
    agents.suspend(empty.agent, by=SYSTEM, reason="odd")
    answer = node.modern(empty.system.slug, "tools/call", token, name=NAME, arguments={})
    assert "requestable" not in answer.text
    assert (empty.calls(), ours(empty)) == (["call.denied"], [])
    assert not AccessRequest.objects.filter(agent=empty.agent).exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"entitlement": "other:read", "reason": "Why not."}, "not_requestable"),
        ({"entitlement": "", "colour": "red"}, "malformed"),
        ({"reason": "x" * 2001}, "malformed"),
    ],
    ids=["of another system", "an argument that is not there", "too long"],
)
def test_a_refused_call_says_why_and_is_recorded_once(
    node: Gateway, empty: World, arguments: dict[str, object], code: str
) -> None:
    result = call(node, empty, open_token(empty), **arguments)
    assert (result["isError"], result["structuredContent"]["code"]) == (True, code)
    assert ours(empty) == [("refused", code)]
    event = Event.objects.get(uuid=result["structuredContent"]["evaluation_id"])
    assert (event.on_behalf_of, event.actor) == (f"person:{empty.person.login}", f"agent:{empty.agent.slug}")
    assert not AccessRequest.objects.filter(agent=empty.agent).exists()


def test_an_upstream_tool_of_this_name_that_was_approved_before_comes_first(node: Gateway, empty: World) -> None:
    make.tool(empty.system, NAME, definition={"name": NAME, "inputSchema": {"type": "object"}})
    assert tools(node, empty, open_token(empty)) == []
    answer = node.modern(empty.system.slug, "tools/call", open_token(empty), name=NAME, arguments={})
    assert answer.json()["result"]["_meta"]["mandate/denial"]["code"] == "no_grant"
    assert Tool.objects.filter(name=NAME, system=empty.system).exists()


@pytest.mark.parametrize("is_for_all", [False, True], ids=["system", "all"])
def test_the_stream_of_a_session_says_that_the_list_has_changed_and_outlives_having_nothing(
    node: Gateway, empty: World, *, is_for_all: bool
) -> None:
    at = replace(empty, system=systems.ensure_all_systems()) if is_for_all else empty
    name = all_systems.name(empty.system.slug, empty.tool.name) if is_for_all else empty.tool.name
    lines: list[str] = []
    token = open_token(at)
    began = legacy(node, at, "initialize", token, protocolVersion="2025-11-25", capabilities={}, clientInfo={})
    assert began.json()["result"]["capabilities"]["tools"] == {"listChanged": True}
    session = str(began.headers["mcp-session-id"])
    headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    assert listed(node, at, token, session) == [NAME]
    result = legacy(node, at, "tools/call", token, session, name=NAME, arguments={}).json()["result"]
    assert empty.entitlement.scope in json.dumps(result["structuredContent"])

    def read() -> None:
        with httpx2.stream(
            "GET", f"{node.base}{answers.path(at.system.slug)}", headers=headers, timeout=waits.SECONDS
        ) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                if lines.count(CHANGED) == 2:
                    return

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    waits.until(lambda: bool(lines))
    other = make.person()
    make.grant(empty.agent, empty.entitlement, people=[other])  # of no concern to this person
    granted = make.grant(empty.agent, empty.entitlement, people=[empty.person])
    waits.until(lambda: CHANGED in lines)
    assert lines.count(CHANGED) == 1
    assert listed(node, at, token, session) == [name]
    grants.revoke(granted.pk, by=SYSTEM, reason="over")
    reading.join(waits.SECONDS)
    assert lines.count(CHANGED) == 2
    assert listed(node, at, token, session) == [NAME]


def listed(node: Gateway, at: World, token: str, session: str) -> list[str]:
    answer = legacy(node, at, "tools/list", token, session).json()["result"]["tools"]
    return [tool["name"] for tool in answer]


def test_a_stateless_client_is_promised_a_subscription_to_the_list(node: Gateway, empty: World) -> None:
    found = node.modern(empty.system.slug, "server/discover", open_token(empty)).json()["result"]
    assert found["capabilities"]["tools"] == {"listChanged": True}


def test_two_nodes_make_one_request_of_two_calls_at_once(empty: World) -> None:
    requester = Requester(empty.agent.slug, empty.client.client_id, empty.person.login)
    ask = Ask(empty.entitlement.scope, "Alice plans a trip.")
    made: list[str] = []
    calls = [
        threading.Thread(target=lambda: made.append(answer.run(requester, [empty.system.slug], ask).request))
        for _ in range(2)
    ]
    with transaction.atomic():
        locks.exclusive((Lock.REQUEST, f"{empty.agent.pk} for {empty.person.pk}"))
        for each in calls:
            each.start()
        calls[0].join(waits.MOMENT)
        assert made == []  # both wait for who came first
    for each in calls:
        each.join(waits.SECONDS)
    assert (len(made), len(set(made)), AccessRequest.objects.filter(agent=empty.agent).count()) == (2, 1, 1)


def test_where_the_console_does_not_answer_the_call_says_so_and_is_recorded_once(node: Gateway, empty: World) -> None:
    token = open_token(empty)
    with transaction.atomic():
        locks.exclusive((Lock.REQUEST, f"{empty.agent.pk} for {empty.person.pk}"))
        result = call(node, empty, token, entitlement=empty.entitlement.scope, reason="Alice plans a trip.")
    assert (result["isError"], result["structuredContent"]["code"]) == (True, "feed_unknown")
    assert not AccessRequest.objects.filter(agent=empty.agent).exists()
    assert ours(empty) == [("unknown", "feed_unknown")]


def test_slow_answers_hold_up_their_own_caller_and_a_few_others() -> None:
    hold = threading.Event()

    async def story() -> None:
        queue = WorkQueue(1, 2)
        slow = asyncio.create_task(queue.run("alice", hold.wait, 0.05))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as twice:
            await queue.run("alice", hold.wait)
        assert (twice.value.code, twice.value.status, twice.value.retry_after) == ("rate_limited", 429, 5)
        waiting = asyncio.create_task(queue.run("bob", lambda: "done"))
        await asyncio.sleep(0)
        with pytest.raises(Refused):
            await queue.run("carol", hold.wait)
        with pytest.raises(TimeoutError):
            await slow
        with pytest.raises(Refused):  # what was given up still holds its place
            await queue.run("alice", hold.wait)
        hold.set()
        assert await waiting == "done"
        assert await queue.run("alice", lambda: "again") == "again"

    asyncio.run(story())


def test_the_link_of_a_denied_call_keeps_its_arguments_sealed_for_this_call_alone(node: Gateway, here: World) -> None:
    grants.revoke(here.grant.pk, by=SYSTEM, reason="test")
    denial = node.call(here).json()["result"]["_meta"]["mandate/denial"]

    text, now = denial["request_access"].partition("&kept=")[2], clock.now().timestamp()
    calls = (denial["evaluation_id"], str(uuid4()))
    opened = [own_connection.run(denied_calls.opened(own_connection.READS, text, call, now)) for call in calls]

    assert opened == [here.arguments, {}]
