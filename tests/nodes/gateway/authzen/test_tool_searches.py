"""Searches over grants: which tools, people and agents a call would be allowed for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from audit.context import SYSTEM
from entitlements.grants import grants
from tests import make
from tests.nodes.gateway.test_authzen import ask, caller, for_a_person
from tests.nodes.gateway.world import Gateway, World

CALL = {"name": "tools/call"}


def search(node: Gateway, target: str, body: dict[str, Any], token: str | None = None) -> list[dict[str, Any]]:
    answer = ask(node, body, token, path=f"search/{target}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def decided(node: Gateway, here: World, *, person: str, tool: str) -> bool:
    asked = {
        "subject": {"type": "user", "id": person},
        "action": CALL,
        "resource": {"type": "tool", "id": tool, "properties": {"server": here.system.slug}},
        "context": {"agent": here.agent.slug},
    }
    decision: bool = ask(node, asked).json()["decision"]
    return decision


def test_searches_find_what_evaluations_allow(node: Gateway, here: World) -> None:
    """Two tools, three people: one by name, one by a group, one without a grant."""
    bob, carol = (make.person(f"{name}-{uuid.uuid4().hex[:8]}") for name in ("bob", "carol"))
    other = make.tool(here.system, "convert_time")
    group = make.group(bob)
    make.grant(here.agent, make.entitlement(here.system, other, scope=f"{here.system.slug}:other"), groups=[group])
    server, context = {"server": here.system.slug}, {"agent": here.agent.slug}
    people, tools = [here.person.login, bob.login, carol.login], [here.tool.name, other.name]
    allowed = {(who, tool) for who in people for tool in tools if decided(node, here, person=who, tool=tool)}

    assert allowed == {(here.person.login, here.tool.name), (bob.login, other.name)}
    for who in people:
        body = {"subject": {"type": "user", "id": who}, "action": CALL, "context": context}
        found = search(node, "resource", {**body, "resource": {"type": "tool", "properties": server}})
        expected = [{"type": "tool", "id": tool, "properties": server} for tool in tools if (who, tool) in allowed]
        assert found == expected
        assert search(node, "resource", {**body, "resource": {"type": "tool"}}) == expected, "at every system"
    for tool in tools:
        resource: dict[str, Any] = {"type": "tool", "id": tool, "properties": server}
        found = search(
            node, "subject", {"subject": {"type": "user"}, "action": CALL, "resource": resource, "context": context}
        )
        assert found == [{"type": "user", "id": who} for who in people if (who, tool) in allowed]
        for who in people:
            body = {"subject": {"type": "user", "id": who}, "resource": resource, "context": context}
            assert search(node, "action", body) == ([CALL] if (who, tool) in allowed else [])


def test_agents_on_their_own_are_found(node: Gateway, here: World) -> None:
    alone = make.agent(f"alone-{uuid.uuid4().hex[:8]}")
    client, _ = make.client(alone, f"client-{uuid.uuid4().hex[:8]}")
    grant = make.grant(alone, here.entitlement, people=[])
    resource = {"type": "tool", "id": here.tool.name, "properties": {"server": here.system.slug}}
    body = {"subject": {"type": "agent"}, "action": CALL, "resource": resource}

    assert search(node, "subject", body) == [{"type": "agent", "id": alone.slug}]
    assert search(node, "subject", {**body, "subject": {"type": "client"}}) == [
        {"type": "client", "id": client.client_id}
    ]
    grants.revoke(grant.pk, by=SYSTEM, reason="a test")
    assert search(node, "subject", body) == []


@pytest.mark.parametrize(
    ("target", "change"),
    [
        ("subject", {"subject": {"type": "spaceship"}}),
        ("subject", {"resource": {"type": "tool", "id": "nothing", "properties": {"server": "nowhere"}}}),
        ("subject", {"resource": {"type": "tool", "id": "nothing"}}),
        ("resource", {"resource": {"type": "planet"}}),
        ("resource", {"context": {}}),
        ("resource", {"action": {"name": "tools/list"}}),
        ("action", {"resource": {"type": "planet", "id": "x"}}),
    ],
)
def test_what_is_not_known_finds_nothing(node: Gateway, here: World, target: str, change: dict[str, Any]) -> None:
    resource = {"type": "tool", "id": here.tool.name, "properties": {"server": here.system.slug}}
    subject, context = {"type": "user", "id": here.person.login}, {"agent": here.agent.slug}

    body = {"subject": subject, "action": CALL, "resource": resource, "context": context, **change}

    assert search(node, target, body) == []


def test_who_acts_for_a_person_does_not_search_for_other_people(node: Gateway, here: World) -> None:
    resource = {"type": "tool", "id": here.tool.name, "properties": {"server": here.system.slug}}
    body = {"subject": {"type": "user"}, "action": CALL, "resource": resource, "context": {"agent": here.agent.slug}}

    token = for_a_person(here)

    assert ask(node, body, token, path="search/subject").status_code == 403
    assert ask(node, body, caller(), path="search/subject").status_code == 200
    mine = {"subject": {"type": "user", "id": here.person.login}, "action": CALL, "resource": {"type": "tool"}}
    found = search(node, "resource", mine, token)
    assert [each["id"] for each in found] == [here.tool.name], "of the caller's own agent"
