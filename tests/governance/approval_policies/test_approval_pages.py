"""Approval policies in the console: in words, proposed, confirmed by another, and what rules approved."""

from __future__ import annotations

import pytest

from audit import clock
from governance.approval_policies import policies
from governance.approval_policies.models import ApprovalPolicy, AutoApproval, AutoApprovalRule, PolicyProposal
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
HERE = "/settings/approvals/"


made_world, company = shared.world(companies.found)


def form(**said: str) -> dict[str, str]:
    risks = {f"{risk}_{part}": "1" for risk in ("low", "medium", "high", "critical") for part in ("people",)}
    security = {f"{risk}_security": "0" for risk in ("low", "medium", "high")}
    return {**risks, **security, "critical_security": "1", "days": "3", "reason": "Two see more.", **said}


def test_one_proposes_and_another_confirms_who_approves(company: Company) -> None:
    dora = make.person("dora")
    make.group(dora, slug="dpo")
    resa, rob, ana = (visits.as_(each) for each in (company.resa, company.rob, company.ana))
    assert "the system&#x27;s owner" in visits.text(ana.get(HERE))
    assert ana.get(f"{HERE}propose/").status_code == 403
    unknown = form(high_group="nobody", critical_group="nobody", entitlement="clock:use")
    assert "unknown_group" in visits.text(resa.post(f"{HERE}propose/", unknown))
    good = form(high_group="dpo", critical_group="dpo", critical_security="2", entitlement="clock:use")
    shown = visits.text(resa.post(f"{HERE}propose/", good, follow=True))
    assert "2 people of security, 1 of the group dpo" in shown
    assert "Another person confirms it." in shown
    proposal = PolicyProposal.objects.get()
    assert proposal.stages["critical"] == ["sponsor", "system_owner", "security", "security", "group:dpo"]
    one = f"{HERE}{proposal.pk}/"
    assert resa.post(one, {"verb": "confirm", "reason": "Mine."}).status_code == 403
    stale = visits.as_(company.rob, fresh=False)
    assert "step_up_required" in visits.text(stale.post(one, {"verb": "confirm", "reason": "Yes."}))
    rob.post(one, {"verb": "confirm", "reason": "Yes."})
    policy = policies.current_for(company.use)
    assert (policy.number, policy.answer_within.days) == (1, 3)
    history = visits.text(ana.get(f"{HERE}versions/{policy.pk}/"))
    assert "Proposed by Resa, confirmed by Rob" in history
    asked = company.ask("wipe")
    assert "(2 of 2)" in visits.text(ana.get(f"/requests/{asked.pk}/"))
    assert 'value="dpo"' in visits.text(resa.get(f"{HERE}propose/?entitlement=clock:use"))
    assert ApprovalPolicy.objects.count() == 2
    assert visits.as_(company.mallory).get(HERE).status_code == 403


def test_a_rule_is_made_by_two_and_what_it_approved_waits_at_home_to_be_looked_at(company: Company) -> None:
    ana, resa = visits.as_(company.ana), visits.as_(company.resa)
    said = {"entitlement": "clock:use", "kinds": "shared", "days": "1", "ends": "30", "reason": "It tells the time."}
    assert "auto_approval_rule_out_of_bounds" in visits.text(
        ana.post(f"{HERE}rules/propose/", {**said, "days": "90", "entitlement": _short(company)})
    )
    ana.post(f"{HERE}rules/propose/", said)
    rule = AutoApprovalRule.objects.get()
    one = f"{HERE}rules/{rule.pk}/"
    assert ana.post(one, {"verb": "confirm", "reason": "Mine."}).status_code == 403
    resa.post(one, {"verb": "confirm", "reason": "Harmless."})
    request = company.ask("now")
    assert "by an auto-approval rule" in visits.text(ana.get(f"/requests/{request.pk}/"))
    AutoApproval.objects.update(look_from=clock.now())
    assert "A rule approved this access" in visits.text(visits.as_(company.rob).get("/"))
    assert "A rule approved this access" not in visits.text(ana.get("/"))
    assert "A rule approved this access" not in visits.text(visits.as_(company.sofia).get("/"))
    look = f"{HERE}looks/{AutoApproval.objects.get().pk}/"
    visits.as_(company.rob).post(look, {"verb": "revoke", "reason": "Nobody uses it."})
    assert AutoApproval.objects.get().verdict == "revoke"
    resa.post(one, {"verb": "end", "reason": "Enough."})
    assert "A person decides every request." in visits.text(ana.get(HERE))


def _short(company: Company) -> str:
    """Make an entitlement that is given for an hour at most."""
    made = make.entitlement(company.system)
    type(made).objects.filter(pk=made.pk).update(longest="1:00:00")
    return made.scope
