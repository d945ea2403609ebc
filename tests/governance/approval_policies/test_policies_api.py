"""Approval policies and rules that approve without a person, by API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from tests import make, shared
from tests.entitlements.api import client
from tests.governance import companies

pytestmark = pytest.mark.django_db
STAGES: dict[str, list[dict[str, object]]] = {
    "low": [{"stage": "sponsor"}],
    "medium": [{"stage": "sponsor"}],
    "high": [{"stage": "sponsor"}, {"stage": "system_owner"}],
    "critical": [{"stage": "sponsor"}, {"stage": "system_owner"}, {"stage": "security", "people": 2}],
}
SAID = {"reason": "Two see more than one."}


made_world, company = shared.world(companies.found)


def test_a_policy_is_proposed_by_one_confirmed_by_another_and_stays_readable(company: companies.Company) -> None:
    resa, rob, ana = (client.proven(each) for each in (company.resa, company.rob, company.ana))
    company.ask("now")
    path = "/api/v1/policy-proposals"
    asked = {"entitlement": "clock:use", "stages": STAGES, "answer_within": "P3D", **SAID}
    assert ana.post(path, asked, format="json").status_code == 403
    weak = {**asked, "stages": {**STAGES, "high": STAGES["low"]}}
    assert resa.post(path, weak, format="json").json()["code"] == "approval_policy_too_weak"
    unknown = {**asked, "stages": {**STAGES, "critical": [*STAGES["critical"], {"stage": "group:nobody"}]}}
    assert resa.post(path, unknown, format="json").json()["code"] == "approval_group_unknown"
    made = resa.post(path, asked, format="json")
    assert (made.status_code, made.json()["state"]) == (201, "proposed")
    assert rob.post(path, asked, format="json").json()["code"] == "approval_policy_proposed_already"
    one = f"{path}/{made.json()['id']}"
    assert resa.post(f"{one}/confirm", SAID, format="json").json()["code"] == "approval_policy_proposed_by_own_account"
    confirmed = rob.post(f"{one}/confirm", SAID, format="json").json()
    assert (confirmed["state"], confirmed["confirmed_by"]) == ("in_force", "rob")
    assert resa.post(f"{one}/withdraw", SAID, format="json").json()["code"] == "approval_policy_over"
    shown = ana.get(f"/api/v1/approval-policies/{confirmed['policy']}").json()
    assert (shown["entitlement"], shown["number"], shown["answer_within"]) == ("clock:use", 1, "P3D")
    assert shown["stages"]["critical"][-1] == {"stage": "security", "people": 2}
    rob.post(path, {**asked, "entitlement": None}, format="json")
    (waits,) = ana.get(f"{path}?state=proposed").json()["results"]
    assert waits["entitlement"] is None
    resa.post(f"{path}/{waits['id']}/confirm", SAID, format="json")
    assert [each["number"] for each in ana.get("/api/v1/approval-policies").json()["results"]] == [2, 1, 1]
    assert len(ana.get("/api/v1/approval-policies?current=true").json()["results"]) == 2


def test_a_rule_is_proposed_and_confirmed_and_what_it_approved_is_looked_at(company: companies.Company) -> None:
    ana, resa = client.proven(company.ana), client.proven(company.resa)
    asked = {
        "entitlement": "clock:use",
        "longest": "P1D",
        "kinds": ["shared"],
        "group": make.group(company.alice, slug="readers").slug,
        "expires_at": (clock.now() + timedelta(days=90)).isoformat(),
        **SAID,
    }
    made = ana.post("/api/v1/auto-approval-rules", asked, format="json")
    assert (made.status_code, made.json()["group"]) == (201, "readers")
    one = f"/api/v1/auto-approval-rules/{made.json()['id']}"
    assert ana.post(f"{one}/confirm", SAID, format="json").status_code == 403
    assert resa.post(f"{one}/confirm", SAID, format="json").json()["confirmed_by"] == "resa"
    request = company.ask("now")
    (given,) = ana.get("/api/v1/auto-approvals?open=true").json()["results"]
    assert (given["request"], given["grant"]) == (str(request.pk), str(request.grant_id))
    look = f"/api/v1/auto-approvals/{given['id']}/look"
    assert client.of(company.sofia).post(look, {"verdict": "keep", **SAID}, format="json").status_code == 403
    rob = client.proven(company.rob)
    assert ana.post(look, {"verdict": "keep", **SAID}, format="json").json()["code"] == "self_confirmation_of_rule"
    assert rob.post(look, {"verdict": "keep", **SAID}, format="json").json()["code"] == "auto_approval_too_early"
    assert rob.post(look, {"verdict": "revoke", **SAID}, format="json").json()["looked_by"] == "rob"
    assert resa.post(f"{one}/end", SAID, format="json").json()["state"] == "ended"
    shown = client.of(company.otto).get(f"/api/v1/requests/{request.pk}").json()["approvals"]
    assert [(each["stage"], each["answer"], each["by"]) for each in shown] == [
        ("sponsor", "void", None),
        ("rule", "approved", None),
    ]
