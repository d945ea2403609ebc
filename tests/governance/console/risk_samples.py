"""What the console shows of risk and bounds: a signal, a detector, a proposed answer, a decoy and a budget."""

from __future__ import annotations

from decimal import Decimal

from audit import clock
from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.risk import response_policy, risk
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.words import Risk
from tests.entitlements.decoys import planted
from tests.governance.companies import Company


def of(company: Company) -> dict[str, object]:
    """Make all of them."""
    said = risk.NewSignal(Kind.DENIED_CALL_BURST, Risk.LOW, "detector:sample", "A sample.", clock.now(), "sample")
    noted = risk.note(RiskSubject(agent=company.bot), said)
    assert noted is not None
    given = {"response": "review", "mode": "observe", "reason": "a sample"}
    proposed = response_policy.propose("session_revoked", by=company.resa, **given)
    decoy = planted.tool(company.system.tools.get(name="now"), company.bot, name="export_sample")
    budget = budgets.set_budget(What("calls", Decimal(100)), agent=company.bot.slug, by=company.resa, reason="a sample")
    return {
        "risk-signals/signal": noted.pk,
        "risk-signals/drift/detector": "network-drift",
        "settings/signal-responses/response": proposed.pk,
        "decoys/decoy": decoy.pk,
        "budgets/budget": budget.pk,
    }
