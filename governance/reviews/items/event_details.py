"""The audit event of a reviewer's answer: the answer, for whom a delegate gave it, and the exceptions it relies on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.actions import Action
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items.review_rules import Verb
from governance.sod.models import SodException


def action(decision: ReviewDecision) -> Action:
    """Return the action under which an answer is logged."""
    return Action.REVIEW_ABSTAINED if decision.verb == Verb.ABSTAIN else Action.REVIEW_DECIDED


def _covered(exceptions: Sequence[SodException]) -> dict[str, Any]:
    """Return the exceptions that the answer relies on, as they were then."""
    if not exceptions:
        return {}
    return {
        "exceptions": [
            {
                "exception": str(each.pk),
                "policy": each.rule.name,
                "version": each.rule.number,
                "control": each.control,
                "given_by": each.given_by.login,
                "expires_at": each.expires_at.isoformat(),
            }
            for each in exceptions
        ]
    }


def detail(decision: ReviewDecision, exceptions: Sequence[SodException]) -> dict[str, Any]:
    """Return the detail of the event of an answer, with the exceptions that it relies on."""
    reviewer = decision.assignment.reviewer
    details: dict[str, Any] = {
        "verb": decision.verb,
        "reason_code": decision.reason_code,
        "via": decision.via,
        "stage": decision.stage,
        "kept_lines": len(decision.kept_lines),
        "risk": decision.item.risk,
    }
    if reviewer is not None and reviewer.pk != decision.decided_by_id:
        details["in_place_of"] = reviewer.login
    if decision.limits:
        details["limits"] = decision.limits
    if decision.valid_until:
        details["valid_until"] = decision.valid_until.isoformat()
    if decision.effective_at:
        details["effective_at"] = decision.effective_at.isoformat()
    if decision.bulk_op:
        details["bulk_op"] = str(decision.bulk_op)
    return details | _covered(exceptions)
