"""Decoys at a real node: listed like tools, answered like failures, forwarded nowhere, and a risk at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from django.db import transaction

from audit.models import Event
from entitlements.decoys.decoys import TAKEN
from entitlements.decoys.models import Decoy, DecoyTouch
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.risk.models import RiskSignal
from entitlements.sessions.models import Session
from governance.decoys import follow
from tests import make, waits
from tests.conformance import servers
from tests.entitlements.decoys import planted
from tests.nodes.gateway import rest_world
from tests.nodes.gateway.rest_world import Service
from tests.nodes.gateway.test_eras import begin, legacy
from tests.nodes.gateway.test_guardrails import evaluated, publish
from tests.nodes.gateway.world import Gateway, World


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


@pytest.fixture(scope="module")
def orders(node: Gateway, service: Service) -> World:  # noqa: ARG001 - the node must run
    return rest_world.build(service.url)


def listed(node: Gateway, here: World, token: str | None = None) -> dict[str, dict[str, Any]]:
    answer = node.modern(here.system.slug, "tools/list", token or here.token()).json()
    return {tool["name"]: tool for tool in answer["result"]["tools"]}


def call(node: Gateway, here: World, tool: str, token: str | None = None, **arguments: object) -> httpx2.Response:
    return node.modern(here.system.slug, "tools/call", token or here.token(), name=tool, arguments=arguments)


def touches(decoy: Decoy) -> list[Event]:
    return list(Event.objects.filter(action="decoy.touched", links__contains=[f"decoy:{decoy.pk}"]).order_by("at"))


def test_a_decoy_stands_in_the_list_of_its_agents_wherever_its_neighbour_does_and_looks_like_it(
    node: Gateway, here: World
) -> None:
    other = replace(here, agent=make.agent())
    other.client, _ = make.client(other.agent, f"client-{other.agent.slug}")
    other.grant = make.grant(other.agent, here.entitlement, people=[here.person])
    session = Session.objects.get(pk=here.session.pk)
    session.pk, session.client, session.agent, session._state.adding = uuid4(), other.client, other.agent, True
    session.save()
    other.session = session
    assert [*listed(node, here)] == ["get_current_time"], "read before the decoy is planted, and so kept"
    decoy = planted.tool(here.tool, here.agent)
    waits.until(lambda: len(listed(node, here)) == 2)
    shown = listed(node, here)

    assert [*shown] == sorted(shown) == ["export_all", "get_current_time"]
    like = {**shown["get_current_time"], "name": "export_all", "description": "Exports everything."}
    assert shown["export_all"] == like, "the same members, and the same arguments"
    token = here.token()
    begun = begin(node, here, token)
    by_era = legacy(node, here, "tools/list", token, begun).json()["result"]["tools"]
    assert [tool["name"] for tool in by_era] == ["export_all", "get_current_time"]
    touched = legacy(node, here, "tools/call", token, begun, name="export_all", arguments=here.arguments).json()
    assert touched["result"] == {"content": [{"type": "text", "text": planted.ANSWER}], "isError": True}
    assert [*listed(node, other)] == ["get_current_time"], "an agent that was not chosen"
    narrow = here.token(scope=f"{here.system.slug}:nothing")
    assert [*listed(node, here, narrow)] == ["request_access"], "a token that does not open the neighbour"
    publish("closed", "forbid", "enforce", {"tool": f"{here.system.slug}/get_current_time"})
    waits.until(lambda: "get_current_time" not in listed(node, here))
    publish("closed", "forbid", "off", {"tool": f"{here.system.slug}/get_current_time"})
    assert len(touches(decoy)) == 1, "a list touches nothing"


def test_a_call_fails_as_the_system_fails_reaches_nothing_and_is_a_risk_at_every_node(
    node: Gateway, orders: World, service: Service
) -> None:
    decoy = planted.tool(make_neighbour(orders), orders.agent, name="purge_orders")
    waits.until(lambda: "purge_orders" in listed(node, orders))
    publish("risky", "forbid", "enforce", {"session_risk": "high"})
    assert call(node, orders, "read_order", id="1").json()["result"].get("isError") is None
    follow.follow_touches()  # of other tests
    seen, before = len(service.seen), len(orders.calls())
    answer = call(node, orders, "purge_orders", id="1")

    result = answer.json()["result"]
    real = call(node, orders, "list_orders", do="boom").json()["result"]
    assert answer.status_code == 200
    assert result["isError"] is True
    assert result.keys() <= real.keys() | {"isError"}
    assert planted.ANSWER in json.dumps(result["content"])
    assert "mandate/denial" not in result["_meta"]
    assert len(service.seen) == seen + 1, "the real call alone"
    (event,) = touches(decoy)
    assert event.actor == f"agent:{orders.agent.slug}"
    assert event.on_behalf_of == f"person:{orders.person.login}"
    said = event.detail
    assert (event.outcome, event.code, said["answered"], said["door"]) == (
        *("failure", "unknown_tool", "tool_error", "gateway"),
    )
    assert not [link for link in event.links if link.startswith(("tool:", "grant:"))]
    waits.until(lambda: len(orders.calls()) >= before + 2)
    assert len(orders.calls()) == before + 2, "the real call and its end: no call of the decoy"

    assert follow.follow_touches() == 1
    waits.until(lambda: call(node, orders, "read_order", id="1").json()["result"].get("isError") is True)
    signal = RiskSignal.objects.get(agent=orders.agent)
    orders.agent.refresh_from_db()
    assert (signal.kind, signal.level, signal.response, signal.outcome) == (
        *("decoy_touched", "high", "suspend", "observed"),
    )
    assert (orders.agent.risk_level, orders.agent.status) == ("high", "active")
    assert DecoyTouch.objects.get(pk=event.uuid).signal == signal
    publish("risky", "forbid", "off", {"session_risk": "high"})
    call(node, orders, "purge_orders", id="2")
    assert follow.follow_touches() == 1
    assert follow.follow_touches() == 0
    assert RiskSignal.objects.filter(agent=orders.agent).count() == 1, "the level is high already"


def make_neighbour(here: World) -> Any:  # noqa: ANN401 - a tool
    return here.system.tools.get(name="read_order")


def test_what_would_be_denied_of_a_tool_is_denied_of_a_decoy_alike(node: Gateway, here: World) -> None:
    decoy = planted.tool(here.tool, here.agent)
    waits.until(lambda: "export_all" in listed(node, here))
    wrong: list[dict[str, Any]] = [{"timezone": 7}, {}]
    for arguments in wrong:
        of_decoy, of_tool = call(node, here, "export_all", **arguments), call(node, here, here.tool.name, **arguments)
        assert same(of_decoy) == same(of_tool), "arguments that the schema does not take"
    narrow = here.token(scope=f"{here.system.slug}:nothing")
    assert same(call(node, here, "export_all", narrow, timezone="UTC")) == same(
        call(node, here, here.tool.name, narrow, timezone="UTC")
    )
    assert call(node, here, "export_some", timezone="UTC").json()["result"]["_meta"]["mandate/denial"]["code"] == (
        "unknown_tool"
    )
    codes = [event.detail["answered"] for event in touches(decoy)]
    assert codes == ["argument_not_valid", "argument_not_valid", "scope_missing"]
    assert call(node, here, here.tool.name, timezone="UTC").json()["result"]["isError"] is False


def same(answer: httpx2.Response) -> Any:  # noqa: ANN401 - any JSON
    """Return an answer without what differs from one call to the next."""
    said = answer.json()
    denial = said["result"]["_meta"]["mandate/denial"] if "result" in said else said["error"]["data"]
    return answer.status_code, {name: value for name, value in denial.items() if name in ("code", "reason", "reasons")}


def test_a_question_about_a_decoy_is_denied_as_about_no_tool_and_touches_nothing(node: Gateway, here: World) -> None:
    decoy = planted.tool(here.tool, here.agent)
    waits.until(lambda: "export_all" in listed(node, here))
    assert evaluated(node, here, "export_all", timezone="UTC") == "unknown_tool"
    assert touches(decoy) == []


def test_a_tool_that_comes_with_the_name_goes_before_the_decoy_which_ends(
    node: Gateway, here: World, time_server: servers.Upstream
) -> None:
    del time_server
    decoy = planted.tool(here.tool, here.agent, name="convert_time")
    waits.until(lambda: "convert_time" in listed(node, here))
    make.tool(here.system, "convert_time")
    with transaction.atomic():  # as discovery notes a tool
        locks.exclusive((Lock.SYSTEM, here.system.pk))
        changes.note(subjects.system(here.system.pk))
    waits.until(lambda: "convert_time" not in listed(node, here))
    denied = call(node, here, "convert_time").json()["result"]["_meta"]["mandate/denial"]["code"]
    assert denied == "no_grant", "it is the tool that was called"
    assert touches(decoy) == []
    assert follow.end_taken() == 1
    decoy.refresh_from_db()
    assert decoy.end_reason == TAKEN
