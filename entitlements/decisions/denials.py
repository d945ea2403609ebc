"""A denial in full: its code, its reasons, and what would help. Pure."""

from __future__ import annotations

from typing import Final

from entitlements import codes
from entitlements.codes import Code, Next
from entitlements.decisions import scopes
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict

_EFFECTS: Final = {Code.REAUTHENTICATION_DUE: Effect.STEP_UP, Code.APPROVAL_REQUIRED: Effect.HOLD}


def denied(
    question: Call | Issuance,
    facts: AgentFacts,
    code: Code,
    reasons: tuple[Reason, ...] = (),
    needed: tuple[str, ...] = (),
) -> Verdict:
    """Refuse with a code: a denial, or what the code asks for, which is a fresh sign-in or a person's approval."""
    effect = _EFFECTS.get(code, Effect.DENY)
    reasons = reasons or (Reason(code, codes.meaning(code).sentence),)
    return Verdict(effect, code, reasons, remedy=remedy(question, facts, code, needed))


def remedy(question: Call | Issuance, facts: AgentFacts, code: Code, needed: tuple[str, ...] = ()) -> Remedy:
    """Say what would help: for a missing right, the entitlements whose request would bring it."""
    meaning = codes.meaning(code)
    tool = question.tool if isinstance(question, Call) else ""
    if meaning.next is Next.REQUEST and not needed:
        requestable = (
            facts.offers.get((question.system, question.tool)) if isinstance(question, Call) else question.requested
        )
        needed = scopes.canonical(requestable or ())
    return Remedy(meaning.next, meaning.remedy, question.system or "", tool, question.person, needed)
