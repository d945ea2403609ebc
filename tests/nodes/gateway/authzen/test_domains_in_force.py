"""What a node answers while policy domains are loaded, replaced and shared between callers."""

from __future__ import annotations

from typing import Any

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog import systems
from governance.decisions.queries import why
from tests import waits
from tests.nodes.gateway.authzen import point
from tests.nodes.gateway.world import Gateway

ALICE = {"type": "user", "id": "alice"}
QUESTION = {"subject": ALICE, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}}


def without_rules() -> dict[str, Any]:
    return {**point.document("certification"), "rules": []}


def test_a_decision_is_recorded_with_its_version_and_rule(node: Gateway) -> None:
    pep = point.new(node, "certification")

    found = pep.post("evaluation", QUESTION, **{"X-Request-ID": "abc"}).json()

    event = Event.objects.get(uuid=found["context"]["evaluation_id"])
    assert (event.action, event.outcome) == ("evaluation.allowed", "success")
    assert {f"system:{pep.system.slug}", f"client:{pep.client.client_id}"} <= set(event.links)
    assert event.detail["rule"] == "all read"
    assert event.detail["domain_version"] == 1
    assert event.detail["subject"] == "user/alice"
    denied = pep.post("evaluation", {**QUESTION, "action": {"name": "write"}, "subject": {"type": "user", "id": "bob"}})
    event = Event.objects.get(uuid=denied.json()["context"]["evaluation_id"])
    assert (event.action, event.code) == ("evaluation.denied", "no_rule")
    assert [step.rule.key for step in why.explain(why.find(event.uuid)).refused] == ["policy_domain"]


def test_a_search_is_recorded_with_how_much_it_found(node: Gateway) -> None:
    pep = point.new(node, "certification")

    found = pep.post("search/action", {"subject": ALICE, "resource": QUESTION["resource"]}).json()

    event = Event.objects.get(uuid=found["context"]["evaluation_id"])
    assert (event.action, event.detail["found"]) == ("evaluation.searched", 2)


def test_the_next_version_is_asked_as_soon_as_the_node_has_heard_of_it(node: Gateway) -> None:
    pep = point.new(node, "certification")
    assert pep.evaluate(QUESTION)

    pep.load(without_rules())

    waits.until(lambda: not pep.evaluate(QUESTION))
    pep.load("certification")
    assert pep.evaluate(QUESTION), "a denial is final only on the version in force"


def test_a_domain_of_a_system_that_is_disabled_permits_nothing(node: Gateway) -> None:
    pep = point.new(node, "certification")
    assert pep.evaluate(QUESTION)

    systems.disable_system(pep.system, by=SYSTEM, reason="a test")

    waits.until(lambda: not pep.evaluate(QUESTION))
    assert pep.post("evaluation", QUESTION).json()["context"]["code"] == "system_disabled"
    assert pep.search("action", {"subject": ALICE, "resource": QUESTION["resource"]}) == []


def test_a_caller_with_a_domain_of_its_own_is_answered_by_it_alone(node: Gateway) -> None:
    """A property named as ours does not lead to the domain of another system."""
    other, pep = point.new(node, "certification"), point.new(node, without_rules())
    asked = {**QUESTION, "resource": {**QUESTION["resource"], "properties": {"server": other.system.slug}}}

    assert (other.evaluate(asked), pep.evaluate(asked)) == (True, False)
    stranger = point.new(node)
    assert stranger.evaluate(asked), "who belongs to no system names one"
    unnamed = stranger.post("evaluation", QUESTION).json()
    assert (unnamed["decision"], unnamed["context"]["code"]) == (False, "unknown_method")
