"""Guardrails at every path of a real node, and on two nodes within two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import SYSTEM, Principal
from entitlements.authentication import MULTI_FACTOR, PASSWORD, PHISHING_RESISTANT
from entitlements.guardrails import guardrails
from entitlements.guardrails.models import GuardrailVersion
from entitlements.risk import risk
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.sessions.models import Session
from entitlements.words import Risk
from tests import make, waits
from tests.entitlements.risk.worlds import answered
from tests.nodes.gateway import rest_world, world
from tests.nodes.gateway.rest_world import Service
from tests.nodes.gateway.test_authzen import ask, question
from tests.nodes.gateway.world import Gateway, World

CODES = {"forbid": "guardrail", "hold": "approval_required", "step_up": "reauthentication_due"}


@pytest.fixture(scope="module")
def second(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with rest_world.service() as found:
        yield found


@pytest.fixture(scope="module")
def here(node: Gateway, service: Service) -> World:  # noqa: ARG001 - the node must run
    return rest_world.build(service.url)


def publish(name: str, effect: str, mode: str, when: dict[str, Any], **more: object) -> GuardrailVersion:
    terms = {"key": name, "name": name.title(), "effect": effect, "mode": mode, "conditions": when, **more}
    proposer = Principal("person", "resa")
    return guardrails.publish(uuid4(), terms, by=SYSTEM, proposed_by=proposer, reason="A test.", detail={})


def mcp(node: Gateway, here: World, tool: str, **arguments: object) -> str:
    answer = node.modern(here.system.slug, "tools/call", here.token(), name=tool, arguments=arguments).json()
    data = answer["error"]["data"] if "error" in answer else answer["result"].get("_meta", {}).get("mandate/denial", {})
    return str(data.get("code", ""))


def listed(node: Gateway, here: World) -> set[str]:
    answer = node.modern(here.system.slug, "tools/list", here.token()).json()
    return {tool["name"] for tool in answer["result"]["tools"]}


def evaluated(node: Gateway, here: World, tool: str, **arguments: object) -> str:
    target = {"type": "tool", "id": tool, "properties": {"server": here.system.slug}}
    context = {"agent": here.agent.slug, "arguments": arguments}
    answer = ask(node, question(here, resource=target, context=context)).json()
    return "" if answer["decision"] else str(answer["context"]["code"])


@pytest.mark.parametrize("effect", ["forbid", "hold", "step_up"])
def test_each_effect_stops_at_every_path_and_observing_stops_nowhere(
    node: Gateway, here: World, service: Service, effect: str
) -> None:
    Session.objects.filter(pk=here.session.pk).update(auth_time="2020-01-01T00:00:00Z")
    when = {"tool": f"{here.system.slug}/read_order"}
    seen, before = listed(node, here), len(service.seen)
    publish(effect, effect, "observe", when)
    waits.until(lambda: noted(node, here, effect))
    assert rest_world.ask(node, here, "GET", "/orders/1").status_code == 200
    assert evaluated(node, here, "read_order", id="1") == ""
    assert listed(node, here) == seen

    publish(effect, effect, "enforce", when)
    waits.until(lambda: mcp(node, here, "read_order", id="1") == CODES[effect])
    forwarded = len(service.seen)
    by_rest = rest_world.ask(node, here, "GET", "/orders/1")

    assert by_rest.json()["code"] == CODES[effect]
    assert evaluated(node, here, "read_order", id="1") == CODES[effect]
    assert mcp(node, here, "list_orders", limit=1) == ""
    assert listed(node, here) == (seen - {"read_order"} if effect == "forbid" else seen)
    assert len(service.seen) == forwarded + 1 > before, "only list_orders went out"
    assert ("request_access" in by_rest.json()) is (effect == "hold")
    challenge = by_rest.headers.get("www-authenticate", "")
    assert ('error="insufficient_user_authentication"' in challenge and 'max_age="300"' in challenge) is (
        effect == "step_up"
    )
    assert effect.title() in " ".join(by_rest.json()["reasons"]), "the public name"
    assert "read_order" not in " ".join(by_rest.json()["reasons"]), "not its terms"
    stopped = [event for event in here.events(f"guardrail:{effect}") if event.action == "call.denied"][-1]
    assert stopped.detail["guardrails"][0] == {
        "name": effect.title(), "version": GuardrailVersion.objects.latest("position").position,
        "effect": {"forbid": "deny"}.get(effect, effect), "mode": "enforce",
    }  # fmt: skip
    publish(effect, effect, "off", when)
    waits.until(lambda: mcp(node, here, "read_order", id="1") == "")


def noted(node: Gateway, here: World, key: str) -> bool:
    """Call once, and say whether the event of that call names the guardrail as one that observes."""
    assert mcp(node, here, "read_order", id="1") == ""
    found = [event for event in here.events(f"guardrail:{key}") if event.action == "call.allowed"]
    return bool(found) and found[-1].detail["guardrails"][0]["mode"] == "observe"


def test_arguments_are_looked_at_by_call_and_not_by_list(node: Gateway, here: World) -> None:
    when = {"system": here.system.slug, "argument": {"limit": {"min": 10}}}
    publish("many", "forbid", "enforce", when)
    waits.until(lambda: mcp(node, here, "list_orders", limit=10) == "guardrail")

    assert mcp(node, here, "list_orders", limit=9) == ""
    assert mcp(node, here, "list_orders") == ""
    assert rest_world.ask(node, here, "GET", "/orders?limit=10").json()["code"] == "guardrail"
    assert "list_orders" in listed(node, here)
    publish("many", "forbid", "off", when)
    waits.until(lambda: mcp(node, here, "list_orders", limit=10) == "")


def test_two_nodes_know_of_it(node: Gateway, second: Gateway, here: World) -> None:
    assert mcp(node, here, "list_orders", limit=1) == mcp(second, here, "list_orders", limit=1) == ""
    when = {"action": "read", "system": here.system.slug}
    publish("both", "forbid", "enforce", when)

    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "guardrail")
    waits.until(lambda: mcp(second, here, "list_orders", limit=1) == "guardrail")

    publish("both", "forbid", "off", when)


def test_a_step_up_asks_for_a_context_too_and_a_sign_in_of_it_goes_on(node: Gateway, here: World) -> None:
    Session.objects.filter(pk=here.session.pk).update(auth_time=clock.now(), acr=PASSWORD, amr="pwd")
    when = {"system": here.system.slug, "action": "read"}
    publish("strong", "step_up", "enforce", when, max_age=86_400, acr=[MULTI_FACTOR])
    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "reauthentication_due")

    challenge = rest_world.ask(node, here, "GET", "/orders?limit=1").headers["www-authenticate"]
    assert f'acr_values="{MULTI_FACTOR}"' in challenge
    assert 'max_age="86400"' in challenge
    Session.objects.filter(pk=here.session.pk).update(acr=PHISHING_RESISTANT)
    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "")
    publish("strong", "step_up", "off", when)


def test_a_risk_hold_stops_at_every_path_at_two_nodes_until_it_is_dismissed(
    node: Gateway, second: Gateway, here: World, service: Service
) -> None:
    answered("refresh_reuse", "hold")
    forwarded = len(service.seen)
    new = risk.NewSignal(Kind.REFRESH_REUSE, Risk.MEDIUM, "detector:test", "It happened.", clock.now(), str(uuid4()))
    signal = risk.note(RiskSubject(agent=here.agent), new)
    assert signal is not None
    for each in (node, second):
        waits.until(lambda each=each: mcp(each, here, "list_orders", limit=1) == "approval_required")  # type: ignore[misc]
    by_rest = rest_world.ask(node, here, "GET", "/orders?limit=1").json()
    assert (by_rest["code"], "request_access" in by_rest) == ("approval_required", True)
    assert evaluated(node, here, "list_orders", limit=1) == "approval_required"
    refused = node.modern(here.system.slug, "tools/list", here.token()).json()["error"]["data"]
    assert refused["code"] == "approval_required", "a list says why it is not given"
    stopped = len(service.seen)
    risk.dismiss(signal.pk, by=make.security(), reason="A test.")
    for each in (node, second):
        waits.until(lambda each=each: mcp(each, here, "list_orders", limit=1) == "")  # type: ignore[misc]
    assert stopped - forwarded <= 2, "at most those that came before the nodes heard"


def test_a_guardrail_that_a_node_cannot_read_forbids_every_call(node: Gateway, here: World) -> None:
    publish("later", "hold", "enforce", {"of_a_later_release": 1})
    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "guardrail")
    publish("later", "hold", "off", {"of_a_later_release": 1})
    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "")


def test_no_token_is_issued_for_what_is_forbidden_to_every_call(node: Gateway, here: World) -> None:
    """The scope is held; every tool of it is forbidden, so the token opens nothing, and introspection says so."""
    when = {"system": here.system.slug}
    publish("shut", "forbid", "enforce", when)
    waits.until(lambda: mcp(node, here, "list_orders", limit=1) == "guardrail")

    assert listed(node, here) <= {"request_access"}
    publish("shut", "forbid", "off", when)


@pytest.mark.usefixtures("database")
def test_a_version_is_never_changed_or_deleted_and_has_two_people() -> None:
    made = publish("kept", "forbid", "observe", {"risk": "critical"})
    rows = GuardrailVersion.objects.filter(pk=made.pk)
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        rows.update(mode="off")
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        rows.delete()
    with pytest.raises(IntegrityError, match="two_people_stand_behind_a_guardrail"), transaction.atomic():
        GuardrailVersion.objects.create(
            position=made.position + 1, key="x", name="x", effect="forbid", mode="observe", conditions={"risk": "low"},
            proposed_by="person:resa", confirmed_by="person:resa", made_at=made.made_at,
        )  # fmt: skip
