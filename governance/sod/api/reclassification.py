"""A person who reclassifies a tool first accepts the violations that this causes, in the API as on the page."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog import class_proposals, tools
from entitlements.catalog.models import Tool
from entitlements.definitions import classes
from entitlements.proposals.models import Proposal
from governance.sod import check as check_actions


def check(caller: Caller, approval: tools.Approval, accepted: str) -> None:
    """Refuse a classification that causes violations, until `accepted` is the digest of just these agents and rules.

    Agents whose access the caller sees are named, the others counted; what else an agent holds is for who sees the
    agent. Raises separation.ClassingCompletes, with the digest.
    """
    if approval.risk not in Tool.Risk.values:
        return  # the verb says so
    classed = copy.copy(approval.tool)
    classed.action, classed.risk, classed.data_class = approval.action, approval.risk, approval.data_class
    for flow, value in approval.flows.items():
        setattr(classed, flow, value)
    completed = check_actions.violations_by_classification(classed)
    if not completed or accepted == (digest := _digest(completed)):
        return
    holders = [violation.agent.pk for violation in completed]
    agents = set(visibility.agents(caller).filter(pk__in=holders).values_list("pk", flat=True))
    known = agents | set(visibility.grants(caller).filter(agent__in=holders).values_list("agent", flat=True))
    named = [violation for violation in completed if violation.agent.pk in known]
    violations = [violation.as_json() | ({} if violation.agent.pk in agents else {"sides": []}) for violation in named]
    raise check_actions.ClassingCompletes(completed=violations, others=len(completed) - len(named), accept=digest)


def check_proposal(caller: Caller, proposal: Proposal, accepted: str) -> None:
    """Refuse the lower class of a tool as `check` does: a lower action or data class may stand on a side as well."""
    if proposal.kind == class_proposals.KIND.name:
        wanted, tool = dict(proposal.terms["to"]), class_proposals.tool_of(proposal.subject)
        flows = {flow: wanted.pop(flow) for flow in classes.FLOWS}
        check(caller, tools.Approval(tool, proposal.terms["sha256"], tool.sentence, **wanted, flows=flows), accepted)


def _digest(completed: Sequence[check_actions.PolicyViolation]) -> str:
    """Return the digest of the agents and rules, so that the caller accepts exactly what was shown."""
    lines = sorted(f"{violation.rule.pk} {violation.agent.pk}" for violation in completed)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
