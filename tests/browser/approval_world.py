"""Who approves, for looking at: a policy in force and another proposed, and something that a rule approved."""

from __future__ import annotations

from datetime import timedelta

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approval_policies.models import ApprovalPolicy, AutoApproval, AutoApprovalRule
from governance.approvals import auto_approval
from tests import make


def policies_and_rules() -> ApprovalPolicy:
    """Put a policy in force and propose another; let a rule approve something that is looked at by now."""
    ana, resa, rob, otto, bob = (Person.objects.get(login=login) for login in ("ana", "resa", "rob", "otto", "bob"))
    use = Entitlement.objects.get(scope="wiki:use")
    stages: dict[Risk, list[str]] = {
        risk: [*named, "security", "security"] for risk, named in policy_rules.DEFAULT_POLICY.items()
    }
    stages[Risk.CRITICAL] = [*stages[Risk.CRITICAL][:-1], "group:research"]
    first = policies.publish(use, stages, by=resa, confirmed_by=rob, reason="Two see more than one.")
    policies.propose(None, stages, answer_within=timedelta(days=3), by=resa, reason="The auditors asked for more eyes.")
    rule = _ruled(use, ana, "Only reads.")
    auto_approval.KIND.confirm(rule.pk, by=resa, reason="Harmless.")
    _ruled(Entitlement.objects.get(scope="crm:use"), resa, "Asked for every day.")
    harmless = Tool.objects.filter(entitlements=use, action="read", risk="low").values_list("name")
    make.request(use, Agent.objects.get(slug="dunning"), by=otto, people=[bob], tools=[name for (name,) in harmless])
    AutoApproval.objects.update(look_from=clock.now())
    return first


def _ruled(use: Entitlement, by: Person, reason: str) -> AutoApprovalRule:
    ends, longest = clock.now() + timedelta(days=90), timedelta(days=7)
    return auto_approval.propose(use, kinds=["shared"], longest=longest, expires_at=ends, by=by, reason=reason)
