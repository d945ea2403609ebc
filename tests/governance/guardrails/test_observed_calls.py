"""Calls that observing guardrails would have changed are counted by day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import Principal
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.decisions.verdicts import Verdict
from entitlements.guardrails import terms as guardrail_terms
from governance.guardrails import observed, queries
from governance.guardrails.models import ObservedCalls
from tests import make, seeds
from tests.audit.make import Archive

pytestmark = pytest.mark.django_db
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}, "to": {"type": "string"}}}


class Simulation:
    """Two agents with a bounded grant of two tools; every call is decided by the policy and recorded."""

    def __init__(self) -> None:
        self.system = make.system("erp")
        tools = [
            make.tool(self.system, name, definition={"name": name, "inputSchema": SCHEMA}, action=action)
            for name, action in (("pay", "write"), ("look", "read"))
        ]
        entitlement = make.entitlement(self.system, *tools, scope="erp:use")
        self.person, self.resa = make.person("alice"), make.security("resa")
        self.known: dict[str, AgentFacts] = {}
        self.clients: dict[str, str] = {}
        for slug, kind in (("bot-a", "shared"), ("bot-b", "service")):
            agent = make.agent(slug, kind=kind)
            made, _ = make.client(agent, f"client-{slug}")
            bounds = {name: {"amount": {"max": 1000, "optional": True}} for name in ("pay", "look")}
            make.grant(agent, entitlement, people=[self.person], limits=bounds)
            self.clients[slug] = made.client_id
            found = facts.load(slug, "erp")
            assert found is not None
            self.known[slug] = found

    def calls(self, count: int) -> Iterator[Call]:
        draw = seeds.chance()
        for _ in range(count):
            agent = draw.choice(["bot-a", "bot-b"])
            sent: dict[str, Any] = {"amount": draw.randrange(1000)}
            yield Call(agent, self.clients[agent], "alice", "erp", draw.choice(["pay", "look"]), sent)

    def decide(self, call: Call, rules: tuple[Any, ...] = ()) -> Verdict:
        known = replace(self.known[call.agent], guardrails=rules)
        return policy.decide(call, known, clock.now().timestamp())

    def record(self, call: Call, verdict: Verdict) -> None:
        detail: dict[str, Any] = {"tool": call.tool, "measured": dict(verdict.measured or {})}
        links = ["system:erp", f"tool:erp/{call.tool}", f"grant:{verdict.grant}"]
        if verdict.guardrails:
            detail["guardrails"] = [each.written for each in verdict.guardrails]
            links += [f"guardrail:{each.key}" for each in verdict.guardrails]
        with transaction.atomic(), context.acting(on_behalf_of=Principal("person", "alice")):
            log.record(Action.CALL_ALLOWED, by=Principal("agent", call.agent), about=links, detail=detail)


def test_calls_that_would_have_changed_are_counted_once_by_day_agent_tool_and_person(
    transactional_db: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    world = Simulation()
    row = ("watch", "Watch", 7, "forbid", "observe", '{"action": "write"}', None)
    rules = guardrail_terms.compile_all([row])
    calls = list(world.calls(30))
    for call in calls:
        world.record(call, world.decide(call, rules))
    Archive(tmp_path, Ed25519PrivateKey.generate()).seal()

    while observed.roll_up(limit=7):
        pass
    assert observed.roll_up() == 0

    expected = {
        (slug, "erp/pay", "alice"): count
        for slug in ("bot-a", "bot-b")
        if (count := sum((call.agent, call.tool) == (slug, "pay") for call in calls))
    }
    rows = ObservedCalls.objects.filter(version=7)
    assert {(each.agent, each.tool, each.person): each.calls for each in rows} == expected
    shown = queries.observed(7)
    assert shown.calls == sum(expected.values())
    assert [each.more for each in shown.counted] == [0, 0, 0]
