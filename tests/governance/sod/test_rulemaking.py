"""An organisation's own rule, and which agent may call which: filled in, looked at, proposed, refused in place."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from governance.sod import policies
from governance.sod.models import AgentCall, SodPolicy
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
RULE = {
    "name": "look-and-pay",
    "sentence": "Looks up times and pays.",
    "systems-1": "clock",
    "tools-1": "now, conv*",
    "actions-2": ["write", "execute"],
    "tools-2": "*pay*",
    "risk_at_least-2": "medium",
    "reason": "Two pairs of eyes.",
}
SIDES: list[dict[str, Any]] = [
    {"systems": ["clock"], "tools": ["now", "conv*"]},
    {"tools": ["*pay*"], "actions": ["write", "execute"], "risk_at_least": "medium"},
]


def _company() -> Company:
    """Make the company; its bot looks up times, and a second agent of another owner pays."""
    found = companies.found()
    pay = make.tool(make.system("bank"), "pay", risk="medium")
    pay.action = "execute"
    pay.save()
    make.grant(make.agent("payer"), make.entitlement(pay.system, pay))
    make.grant(found.bot, found.use, people=[found.alice])
    return found


made_world, company = shared.world(_company)


@pytest.fixture
def ana(company: Company) -> Client:
    return visits.as_(company.ana)


def test_a_rule_of_ones_own_is_looked_at_then_proposed_and_its_next_version_begins_with_it(ana: Client) -> None:
    looked = visits.text(ana.post("/sod-policies/new/", {**RULE, "verb": "look"}))
    assert "0 agents would violate it" in looked
    assert 'value="now, conv*"' in looked
    assert not SodPolicy.objects.exists()
    ana.post("/agent-calls/", {"caller": "research-bot", "callee": "payer", "reason": "Invoices.", "verb": "allow"})
    looked = visits.text(ana.post("/sod-policies/new/", {**RULE, "verb": "look"}))
    assert "1 agent would violate it" in looked
    assert "bank/pay" in looked
    made = ana.post("/sod-policies/new/", {**RULE, "verb": "propose"}, follow=True)
    assert "No agent may hold a tool of each side" in visits.text(made)
    rule = SodPolicy.objects.get()
    assert (rule.name, rule.sides, rule.state) == ("look-and-pay", SIDES, "proposed")
    twice = ana.post("/sod-policies/new/", {**RULE, "verb": "propose"})
    assert (twice.status_code, "sod_policy_proposed_already" in visits.text(twice)) == (409, True)
    assert 'value="*pay*"' in visits.text(ana.get("/sod-policies/new/?like=look-and-pay"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tools-2": "", "actions-2": [], "risk_at_least-2": ""}, "sod_policy_malformed"),
        ({"tools-2": "pay me; now"}, 'id="id_tools-2_error"'),
        ({"name": "Look and pay"}, 'id="id_name_error"'),
        ({"reason": ""}, 'id="id_reason_error"'),
    ],
)
def test_what_is_no_rule_is_refused_beside_its_field(ana: Client, change: dict[str, object], said: str) -> None:
    answer = ana.post("/sod-policies/new/", {**RULE, **change, "verb": "propose"})
    assert (answer.status_code, said in visits.text(answer)) == (422, True)
    assert not SodPolicy.objects.exists()


def test_a_call_is_looked_at_refused_where_it_completes_a_combination_and_ended(company: Company, ana: Client) -> None:
    rule = policies.propose("pair", sentence="Looks and pays.", sides=SIDES, by=company.ana, reason="why")
    policies.KIND.confirm(rule.pk, by=company.resa, reason="yes")
    form = {"caller": "research-bot", "callee": "payer", "reason": "Invoices."}
    looked = visits.text(ana.post("/agent-calls/", {**form, "verb": "look"}))
    assert "bank/pay" in looked
    assert "Looks and pays." in looked
    refused = ana.post("/agent-calls/", {**form, "verb": "allow"})
    assert (refused.status_code, "sod_policy_violated" in visits.text(refused)) == (409, True)
    assert not AgentCall.objects.exists()
    assert ana.post("/agent-calls/", {**form, "callee": "research-bot", "verb": "allow"}).status_code == 422
    ana.post("/agent-calls/", {**form, "caller": "payer", "callee": make.agent("clerk").slug, "verb": "allow"})
    call = AgentCall.objects.get()
    assert "clerk" in visits.text(ana.get("/agent-calls/?agent=payer"))
    ana.post(f"/agent-calls/{call.pk}/end/", {"reason": "No more."})
    call.refresh_from_db()
    assert call.end_reason == "No more."


def test_who_decides_nothing_here_sees_only_calls_of_agents_they_see(company: Company, ana: Client) -> None:
    ana.post("/agent-calls/", {"caller": "payer", "callee": make.agent("clerk").slug, "reason": "x", "verb": "allow"})
    call = AgentCall.objects.get()
    otto = visits.as_(company.otto)
    assert "clerk" not in visits.text(otto.get("/agent-calls/"))
    assert otto.post("/agent-calls/", {"verb": "look"}).status_code == 403
    assert otto.get("/sod-policies/new/").status_code == 403
    assert otto.post(f"/agent-calls/{call.pk}/end/", {"reason": "x"}).status_code == 403
