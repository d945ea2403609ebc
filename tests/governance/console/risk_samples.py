"""A signal of risk about the bot, a detector, and a proposed answer to a kind of signals, for the console's pages."""

from __future__ import annotations

from audit import clock
from entitlements.risk import response_policy, risk
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.words import Risk
from tests.governance.companies import Company


def of(company: Company) -> dict[str, object]:
    """Make both."""
    said = risk.NewSignal(Kind.DENIED_CALL_BURST, Risk.LOW, "detector:sample", "A sample.", clock.now(), "sample")
    noted = risk.note(RiskSubject(agent=company.bot), said)
    assert noted is not None
    given = {"response": "review", "mode": "observe", "reason": "a sample"}
    proposed = response_policy.propose("session_revoked", by=company.resa, **given)
    return {
        "risk-signals/signal": noted.pk,
        "risk-signals/drift/detector": "network-drift",
        "settings/signal-responses/response": proposed.pk,
    }
