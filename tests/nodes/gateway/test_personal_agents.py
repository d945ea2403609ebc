"""Calls through a client whose people each have an agent of their own, at a real node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from entitlements.agents import agents, personal_agents
from entitlements.clients import clients
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.people import people
from tests import make, waits
from tests.nodes.gateway.test_revocation import denial
from tests.nodes.gateway.world import Gateway, World

WHY = "for the test"


def end_connection(here: World) -> None:
    connections.end(Connection.objects.get(client=here.client).pk, by=SYSTEM, reason=WHY)


SPOILERS: dict[Callable[[World], object], str] = {
    end_connection: "client_unknown",
    lambda here: agents.suspend(here.agent, by=SYSTEM, reason=WHY): "agent_suspended",
    lambda here: agents.retire(here.agent, by=SYSTEM, reason=WHY): "agent_retired",
    lambda here: people.disable(here.person, by=SYSTEM, reason=WHY): "sponsor_disabled",
    lambda here: clients.disable(here.client, by=SYSTEM, reason=WHY): "client_disabled",
}
"""The person is the sponsor of their agent, and a sponsor is asked about first."""


CASES = [*((spoil, True) for spoil in SPOILERS), (end_connection, False)]


@pytest.mark.parametrize(
    ("spoil", "is_known"), CASES, ids=[f"{SPOILERS[spoil]}, used before: {is_known}" for spoil, is_known in CASES]
)
def test_a_call_goes_through_until_something_of_it_ends_and_is_then_denied_once(
    node: Gateway,
    here: World,
    spoil: Callable[[World], object],
    is_known: bool,  # noqa: FBT001 - a parameter
) -> None:
    world = here.with_personal_agent()
    token = world.token()
    if is_known:
        assert node.call(world, token).json()["result"]["isError"] is False
        assert world.calls()[0] == "call.allowed"

    spoil(world)

    waits.until(lambda: denial(node.call(world, token)) != "")
    before = world.calls().count("call.denied")
    assert denial(node.call(world, token)) == SPOILERS[spoil]
    denied = [event for event in world.events() if event.action == "call.denied"]
    assert len(denied) == before + 1
    assert f"client:{world.client.client_id}" in denied[-1].links


def test_a_token_of_another_persons_agent_or_of_a_shared_one_is_none(node: Gateway, here: World) -> None:
    world = here.with_personal_agent()
    bobs = personal_agents.connect(world.client, make.person()).agent
    for act in ({"sub": bobs.slug}, {"sub": here.agent.slug}, {"sub": ""}, "x", {}):
        assert node.call(world, world.token(act=act)).status_code == 401, act
    assert world.calls() == []


def test_a_connection_that_begins_again_serves_new_tokens_and_none_from_before(node: Gateway, here: World) -> None:
    world = here.with_personal_agent()
    token = world.token()
    end_connection(world)
    personal_agents.connect(world.client, world.person)
    assert [node.call(world, each).status_code for each in (token, world.token())] == [401, 401]
    denied = [event.code for event in world.events() if event.action == "call.denied"]
    assert denied == ["token_revoked", "session_ended"]
