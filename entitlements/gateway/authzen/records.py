"""What the audit log says of an answer that no grant gave: a decision by a policy domain, and each search."""

from __future__ import annotations

from typing import Final

from audit import draft
from audit.actions import Action
from audit.draft import TextDraft
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.node.records import CallDetails

from .questions import Asked

_LONGEST: Final = 256
"""Characters of a name that the event keeps."""


def decision(about: CallDetails, asked: Asked, verdict: Verdict, version: int, rule: str) -> TextDraft:
    """Say what a policy domain decided, by which version and rule. Its uuid is the evaluation's id."""
    detail: dict[str, object] = {**_named(asked), "method": about.method, "version": str(version)}
    if rule:
        detail["rule"] = rule
    if not verdict.allowed:
        detail |= {
            "effect": Effect.DENY.value,
            "reasons": [f"{each.code}: {each.sentence}" for each in verdict.reasons],
        }
    action = Action.EVALUATION_ALLOWED if verdict.allowed else Action.EVALUATION_DENIED
    what = (action, "success", "") if verdict.allowed else (action, "refused", verdict.code.value)
    return _event(about, what, detail)


def search(about: CallDetails, asked: Asked, total: int) -> TextDraft:
    """Say what was searched for, and how much was found."""
    return _event(
        about, (Action.EVALUATION_SEARCHED, "success", ""), {**_named(asked), "method": about.method, "found": total}
    )


def _named(asked: Asked) -> dict[str, object]:
    named = {"subject": "/".join(asked.subject), "action": asked.action, "resource": "/".join(asked.resource)}
    return {name: value[:_LONGEST] for name, value in named.items() if value}


def _event(about: CallDetails, what: draft.What, detail: dict[str, object]) -> TextDraft:
    about.evaluation = draft.new_uuid()
    return draft.event(
        about.shared(None),
        what,
        draft.canonical(detail),
        uuid=about.evaluation,
        trace=about.trace,
        request_id=about.request_id,
        source=about.source,
    )
