"""SoD policies, exceptions from them and calls between agents, by API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db

SIDES = [{"tools": ["now"], "actions": ["read"]}, {"tools": ["pay*"], "risk_at_least": "low"}]
RULE = {"name": "pair", "sentence": "Tells the time and pays.", "sides": SIDES, "reason": "Asked for by audit."}


made_world, company = shared.world(companies.found)


def test_a_rule_is_proposed_looked_at_and_published_and_then_refuses(company: companies.Company) -> None:
    ana, resa, sofia = (client.proven(each) for each in (company.ana, company.resa, company.sofia))
    bank = make.system("bank")
    make.grant(company.bot, make.entitlement(bank, make.tool(bank, "pay")), people=[company.alice])
    request = company.ask("now")
    made = ana.post("/api/v1/sod-policies", RULE, format="json")
    assert (made.status_code, made.json()["state"], made.json()["sides"]) == (201, "proposed", SIDES)
    rule = f"/api/v1/sod-policies/{made.json()['id']}"
    assert ana.get(f"{rule}/holders").json() == {"count": 0, "agents": [], "splits": []}
    said = {"reason": "Yes."}
    assert ana.post(f"{rule}/publish", said, format="json").json()["code"] == "sod_policy_proposed_by_own_account"
    assert resa.post(f"{rule}/publish", said, format="json").json()["state"] == "in_force"
    assert resa.post(f"{rule}/withdraw", said, format="json").json()["code"] == "sod_policy_over"
    refused = sofia.post(f"/api/v1/requests/{request.pk}/approve", {}, format="json", HTTP_IF_MATCH='"1"').json()
    assert (refused["code"], refused["facts"]["sides"]) == ("sod_policy_violated", [["clock/now"], ["bank/pay"]])
    excepted = resa.post(
        "/api/v1/sod-exceptions",
        {
            "rule": made.json()["id"],
            "agent": "research-bot",
            "control": "Payments are looked at by hand.",
            "expires_at": (clock.now() + timedelta(days=30)).isoformat(),
            "reason": "Quarter end.",
        },
        format="json",
    )
    assert (excepted.status_code, excepted.json()["agent"]) == (201, "research-bot")
    assert sofia.post(f"/api/v1/requests/{request.pk}/approve", {}, format="json", HTTP_IF_MATCH='"1"').json()["grant"]
    held = sofia.get("/api/v1/agents/research-bot/sod-violations").json()["combinations"]
    assert [(each["rule"], bool(each["covered_until"])) for each in held] == [("pair", True)]
    holders = ana.get(f"{rule}/holders").json()
    assert (holders["count"], holders["agents"][0]["sides"]) == (1, [["clock/now"], ["bank/pay"]])
    path = f"/api/v1/sod-exceptions/{excepted.json()['id']}"
    assert resa.post(f"{path}/end", said, format="json").json()["end_reason"] == "Yes."
    assert resa.get("/api/v1/sod-exceptions?open=true").json()["results"] == []


def test_one_agent_is_let_call_another_and_no_longer(company: companies.Company) -> None:
    ana, other = client.of(company.ana), make.agent("other")
    body = {"caller": "research-bot", "callee": other.slug, "reason": "Hands work on."}
    made = ana.post("/api/v1/agent-calls", body, format="json")
    assert (made.status_code, made.json()["callee"]) == (201, "other")
    assert ana.post("/api/v1/agent-calls", body, format="json").json()["code"] == "agent_call_allowed_already"
    assert [each["id"] for each in client.of(company.otto).get("/api/v1/agent-calls").json()["results"]] == [
        made.json()["id"]
    ]
    path = f"/api/v1/agent-calls/{made.json()['id']}"
    assert client.of(company.mallory).get(path).status_code == 404
    assert ana.post(f"{path}/end", {"reason": "Over."}, format="json").json()["ended_at"] is not None


@pytest.mark.parametrize(
    "sides", [[{"tools": ["x"]}], [{"tools": ["x"]}, {}], [{"tools": ["x"]}, {"tool": ["x"]}], [1, 2], [SIDES[0]] * 6]
)
def test_a_rule_that_does_not_say_what_it_means_is_refused(company: companies.Company, sides: list[object]) -> None:
    answer = client.of(company.ana).post("/api/v1/sod-policies", {**RULE, "sides": sides}, format="json")
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(("login", "status"), [("otto", 403), ("sofia", 403), ("mallory", 403)])
def test_nobody_else_makes_rules_or_exceptions(company: companies.Company, login: str, status: int) -> None:
    who = client.proven(company.named(login))
    assert who.post("/api/v1/sod-policies", RULE, format="json").status_code == status
    assert who.get("/api/v1/sod-policies").status_code == status
    assert who.post("/api/v1/sod-exceptions", {}, format="json").status_code == status
    assert who.post("/api/v1/agent-calls", {}, format="json").status_code == status
