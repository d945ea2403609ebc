"""A client that does not come back, or goes away, while a legacy server waits for its answer, and what a call costs."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from tests.entitlements.gateway import world
from tests.entitlements.gateway.conversation import talker
from tests.entitlements.gateway.conversation.desk import SAMPLING, StatelessClient, asks, result, tells, world_of
from tests.entitlements.gateway.conversation.talker import Talker
from tests.entitlements.gateway.test_budgets import budget, calls, code
from tests.entitlements.gateway.test_wire import error
from tests.entitlements.gateway.world import Gateway, World, wait_until

pytestmark = pytest.mark.loopback
SAMPLE = asks("sampling/createMessage", 5, **SAMPLING)


@pytest.fixture(scope="module")
def node(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    program = "tests.entitlements.gateway.conversation.short_waits"
    with world.gateway(program=program, UPSTREAM_AT_ONCE="2") as running:
        yield running


@pytest.fixture(scope="module")
def old() -> Iterator[Talker]:
    with talker.talking(is_modern=False) as server:
        yield server


@pytest.fixture
def here(node: Gateway, old: Talker) -> World:  # noqa: ARG001 - the node must run
    old.heard.clear()
    return world_of(old)


def ends(here: World) -> list[Event]:
    return [event for event in here.events() if event.action in ("call.finished", "call.indeterminate")]


def test_a_call_whose_client_does_not_come_ends_once_and_the_server_hears_it(
    node: Gateway, here: World, old: Talker
) -> None:
    client = StatelessClient(node, here)
    asked = result(client.call(SAMPLE))
    wait_until(lambda: bool(old.asked("notifications/cancelled")), 10)
    wait_until(lambda: bool(ends(here)), 5)
    refused = client.retry(asked, SAMPLE)
    assert error(refused)["data"]["code"] == "request_state_invalid"
    assert old.answers() == []
    (ended,) = ends(here)
    assert (ended.action, ended.outcome, ended.code) == ("call.indeterminate", "unknown", "the_client_did_not_answer")


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


def test_a_client_that_goes_away_from_its_retry_ends_the_call(node: Gateway, here: World, old: Talker) -> None:
    client = StatelessClient(node, here)
    never_answered = (SAMPLE, tells("notifications/cancelled", requestId=5))
    say = (asks("roots/list", "r"), *never_answered)
    asked = result(client.call(*say))
    said: dict[str, object] = {name: {"roots": []} for name in asked["inputRequests"]}
    with pytest.raises(httpx2.TimeoutException):
        client.call(*say, seconds=1, inputResponses=said, requestState=asked["requestState"])
    wait_until(lambda: bool(ends(here)), 5)
    assert [event.code for event in ends(here)] == ["the_client_went_away"]
    assert old.asked("notifications/cancelled")
