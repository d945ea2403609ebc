"""What the event of a reviewer's answer says: the answer, for whom it was given, and the exceptions it relies on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit.actions import Action
from governance.deciders.review_rules import Verb
from governance.reviews.decisions.models import ReviewDecision
from governance.sod.models import CombinationException


def action(decision: ReviewDecision) -> Action:
    """Return the action of the event of an answer."""
    return Action.REVIEW_ABSTAINED if decision.verb == Verb.ABSTAIN else Action.REVIEW_DECIDED


def _covered(exceptions: Sequence[CombinationException]) -> dict[str, Any]:
    """Name the exceptions without which an answer would have been refused, as they were then."""
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


def detail(decision: ReviewDecision, exceptions: Sequence[CombinationException]) -> dict[str, Any]:
    """Return what the event of an answer says, with the exceptions without which it would have been refused."""
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
