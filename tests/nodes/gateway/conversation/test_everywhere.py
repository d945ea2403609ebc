"""A session at the address of all systems: each system that it uses may ask it, and tells it what changes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from audit.context import SYSTEM
from entitlements.catalog import systems
from entitlements.decisions import scopes
from entitlements.grants import grants
from tests import make, waits
from tests.nodes.gateway.conversation.desk import SAMPLING, LegacyClient, asks, tells, world_of
from tests.nodes.gateway.conversation.talker import Talker
from tests.nodes.gateway.conversation.test_listening import HIDDEN, READABLE, UPDATED, resources, subscribed
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture
def here(node: Gateway, old: Talker) -> World:  # noqa: ARG001 - the node must run
    old.heard.clear()
    made = world_of(old)
    resources(made)
    return made


@dataclass
class Everywhere(LegacyClient):
    """A client in one session at the address of all systems, which calls the tool of one."""

    at: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.at = self.here.system.slug
        carried = scopes.join([f"{self.at}:read", f"{self.at}:read2"])
        self.here = everywhere(self.here)
        super().__post_init__()
        self.token = self.here.token(scope=carried)

    @property
    def tool(self) -> str:
        return f"{self.at}__talk"


def everywhere(here: World) -> World:
    return replace(here, system=systems.ensure_all_systems())


def test_what_a_server_asks_on_a_call_reaches_the_client_and_the_answer_that_server(
    node: Gateway, here: World, old: Talker
) -> None:
    client = Everywhere(node, here)
    with client.calling(asks("sampling/createMessage", 5, **SAMPLING)) as messages:
        sampling = next(messages)
        assert sampling["params"] == SAMPLING
        assert client.answer(sampling, result={"model": "m"}).status_code == 202
        told = json.loads(next(messages)["result"]["content"][0]["text"])
    assert told == [{"jsonrpc": "2.0", "id": 5, "result": {"model": "m"}}]
    assert old.asked("initialize")[-1]["capabilities"] == client.offers
    asked = next(event for event in here.events() if event.action == "client.asked")
    assert f"system:{here.system.slug}" in asked.links


def test_a_session_hears_the_systems_that_it_has_used_as_long_as_it_may_use_them(
    node: Gateway, here: World, old: Talker
) -> None:
    client = Everywhere(node, here)
    with client.listening() as messages:
        assert client.post(asks("resources/subscribe", 3, uri=READABLE)).json()["result"] == {}
        assert "error" in client.post(asks("resources/subscribe", 4, uri=HIDDEN)).json()
        waits.until(lambda: old.is_listened_to)
        old.say(
            tells(UPDATED, uri=HIDDEN),
            tells(UPDATED, uri=READABLE),
            tells("notifications/resources/list_changed"),
            asks("roots/list", 77),
        )
        heard: list[dict[str, Any]] = [next(messages) for _ in range(3)]
        assert [each["method"] for each in heard] == [UPDATED, "notifications/resources/list_changed", "roots/list"]
        assert heard[0]["params"]["uri"] == READABLE
        assert client.answer(heard[2], result={"roots": []}).status_code == 202
        waits.until(lambda: {"jsonrpc": "2.0", "id": 77, "result": {"roots": []}} in old.answers())
        greeted = len(old.asked("initialize"))
        for grant in here.agent.grants.filter(ended_at=None):
            grants.revoke(grant.pk, by=SYSTEM, reason="over")
        waits.until(lambda: not old.is_listened_to)
        assert len(old.asked("initialize")) == greeted, "no session is begun without rights"


def test_what_a_session_has_not_used_it_does_not_hear(node: Gateway, here: World, old: Talker) -> None:
    client = Everywhere(node, here)
    with client.listening() as messages:
        other = make.entitlement(here.system, make.tool(here.system, "more"), scope=f"{client.at}:read2x")
        make.grant(here.agent, other, people=[here.person])
        with client.calling() as of_call:
            next(of_call)
        waits.until(lambda: old.is_listened_to)
        assert len(old.asked("initialize")) == 1
        del messages


def test_a_stateless_client_hears_of_the_resource_of_one_system(node: Gateway, here: World, old: Talker) -> None:
    every = everywhere(here)
    carried = scopes.join([f"{here.system.slug}:read", f"{here.system.slug}:read2"])
    with subscribed(node, every, token=every.token(scope=carried), resourceSubscriptions=[READABLE, HIDDEN]) as heard:
        assert next(heard)["params"]["notifications"] == {"resourceSubscriptions": [READABLE]}
        waits.until(lambda: old.asked("resources/subscribe") == [{"uri": READABLE}])
        old.say(tells(UPDATED, uri=READABLE))
        assert next(heard)["params"]["uri"] == READABLE
