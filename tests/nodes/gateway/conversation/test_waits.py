"""How a call that waits for its client goes on, at its node and by another, and how it ends where it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.grants import grants
from entitlements.stdio.models import StdioNode
from tests import waits
from tests.nodes.gateway import world
from tests.nodes.gateway.conversation.desk import SAMPLING, StatelessClient, asks, result, tells
from tests.nodes.gateway.conversation.talker import Talker
from tests.nodes.gateway.test_budgets import budget, calls, code
from tests.nodes.gateway.test_wire import error
from tests.nodes.gateway.world import Gateway, World

SAMPLE = asks("sampling/createMessage", 5, **SAMPLING)


@pytest.fixture(scope="module")
def node(alone: None) -> Iterator[Gateway]:  # noqa: ARG001 - none but these run
    with world.gateway(UPSTREAM_AT_ONCE="2") as running:
        yield running


@pytest.fixture(scope="module")
def other(alone: None) -> Iterator[Gateway]:  # noqa: ARG001 - none but these run
    """Run a node at which calls wait for a moment only."""
    with world.gateway("node-2", program="tests.nodes.gateway.conversation.short_waits") as running:
        yield running


def told(answer: httpx2.Response) -> Any:  # noqa: ANN401 - JSON
    return json.loads(result(answer)["content"][0]["text"])


def ends(here: World) -> list[Event]:
    return [event for event in here.events() if event.action in ("call.finished", "call.indeterminate")]


def test_a_call_whose_client_does_not_come_ends_once_and_the_server_hears_it(
    other: Gateway, here: World, old: Talker
) -> None:
    client = StatelessClient(other, here)
    asked = result(client.call(SAMPLE))
    waits.until(lambda: bool(old.asked("notifications/cancelled")))
    waits.until(lambda: bool(ends(here)))
    refused = client.retry(asked, SAMPLE)
    assert error(refused)["data"]["code"] == "request_state_invalid"
    assert old.answers() == []
    (ended,) = ends(here)
    assert (ended.action, ended.outcome, ended.code) == ("call.indeterminate", "unknown", "the_client_did_not_answer")


def test_what_a_client_takes_for_its_answer_is_no_time_of_the_system(node: Gateway, here: World) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    time.sleep(2)
    result(client.retry(asked, SAMPLE))
    waits.until(lambda: bool(ends(here)))
    assert ends(here)[0].detail["milliseconds"] < 2000


def test_calls_that_wait_for_their_client_keep_no_other_from_the_system(node: Gateway, here: World) -> None:
    client = StatelessClient(node, here)
    waiting = [result(client.call(SAMPLE)) for _ in range(3)]
    assert {each["resultType"] for each in waiting} == {"input_required"}
    assert result(client.call())["content"]
    agents.suspend(here.agent, by=SYSTEM, reason="Over.")


def test_a_call_and_its_retry_are_one_of_the_budget(node: Gateway, here: World) -> None:
    budget(calls(1), agent=here.agent.slug)
    client = StatelessClient(node, here)
    assert result(client.retry(result(client.call(SAMPLE)), SAMPLE))["content"]
    assert code(client.call()) == "budget_exhausted"


@pytest.mark.parametrize("way", ["its node", "another node"])
def test_a_client_that_goes_away_from_its_retry_ends_the_call(
    node: Gateway, other: Gateway, here: World, old: Talker, way: str
) -> None:
    client = StatelessClient(node, here)
    never_answered = (SAMPLE, tells("notifications/cancelled", requestId=5))
    say = (asks("roots/list", "r"), *never_answered)
    asked = result(client.call(*say))
    said: dict[str, object] = {name: {"roots": []} for name in asked["inputRequests"]}
    again = node if way == "its node" else other
    with pytest.raises(httpx2.TimeoutException):
        client.call(*say, node=again, seconds=1, inputResponses=said, requestState=asked["requestState"])
    waits.until(lambda: bool(ends(here)))
    assert [event.code for event in ends(here)] == ["the_client_went_away"]
    assert old.asked("notifications/cancelled")


def test_of_retries_at_two_nodes_one_goes_on(node: Gateway, other: Gateway, here: World, old: Talker) -> None:
    client, say = StatelessClient(node, here), (SAMPLE, asks("roots/list", "r"))
    asked = result(client.call(*say))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda at: client.retry(asked, *say, node=at), (node, other, other, node)))
    went_on = [answer for answer in answers if "result" in answer.json()]
    refused = [error(answer)["data"]["code"] for answer in answers if answer not in went_on]
    assert (len(went_on), refused) == (1, ["request_state_invalid"] * 3)
    assert result(went_on[0])["resultType"] == "input_required"
    assert [answer["id"] for answer in old.answers()] == [5]
    last = client.retry(result(went_on[0]), *say, node=other, question_2={"roots": []})
    assert {answer["id"] for answer in told(last)} == {5, "r"}
    assert last.json()["id"] == "n-2"
    assert len(old.asked("tools/call")) == 1


def test_who_lost_the_right_is_denied_at_each_node(node: Gateway, other: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    grants.revoke(here.grant.pk, by=SYSTEM, reason="Over.")
    waits.until(lambda: bool(ends(here)))
    assert code(client.retry(asked, SAMPLE, node=other)) == "no_grant"
    assert old.answers() == []


def test_an_answer_in_a_call_that_is_over_is_refused_at_each_node(node: Gateway, other: Gateway, here: World) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    assert result(client.retry(asked, SAMPLE))["content"]
    assert [code(client.retry(asked, SAMPLE, node=at)) for at in (node, other)] == ["call_over"] * 2


def test_what_no_node_of_ours_sealed_goes_on_with_no_call(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    address = StdioNode.objects.get(node="node-1").address.replace("/internal/stdio", "/internal/waiting-call")
    for body in (b"", b"{}", asked["requestState"].encode()):
        assert httpx2.post(address, content=body).status_code == 401
    assert old.answers() == []
    assert told(client.retry(asked, SAMPLE))
