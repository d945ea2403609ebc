"""What stands above every grant, asked of a covered call: session policies, risk, guardrails; and denials. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions import scopes, session_terms
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, Line, ToolFacts
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict
from entitlements.guardrails import rules as guardrail_rules
from entitlements.guardrails.rules import Guardrail, GuardrailAnswer
from entitlements.words import Next

HELD: Final = Code.APPROVAL_REQUIRED
HELD_BY_RISK: Final = "A risk signal holds this until a person has decided about it, and calls cannot wait for one yet."
_ASKS: Final = Code.APPROVAL_OF_CALL_REQUIRED
_EFFECTS: Final = {Code.REAUTHENTICATION_DUE: Effect.STEP_UP, HELD: Effect.HOLD}
_MOST_KEPT: Final = 10_000

type Asked = tuple[Verdict | None, tuple[Guardrail, ...]]


def look(call: Call, facts: AgentFacts, tool: ToolFacts, now: float, listing: bool) -> Asked:  # noqa: FBT001
    """Return the sign-in that session policies ask for at a tool, if any, and the guardrails to ask about the call.

    What is settled of one session at one tool is kept with the facts for as long as it is. A list that is asked without
    a token is of what could be called after a sign-in, so policies ask for none.
    """
    kept = facts.settled.get(((call.system, call.tool), call.session))
    if kept is not None and kept[0] is facts.sessions.get(call.session or "") and now < kept[1]:
        return None, kept[2]
    rules = guardrail_rules.guardrails_of(facts, tool)
    if listing and call.token is None:
        return None, rules
    due = session_terms.due(call, facts, tool.risk.rank, now)
    if due is not None:
        return due, rules
    session = facts.sessions.get(call.session or "")
    until, rules = guardrail_rules.settled(rules, session, now)
    if session is not None or not facts.session_terms:
        if len(facts.settled) >= _MOST_KEPT:
            facts.settled.clear()
        until = min(until, session_terms.terms_until(call, facts, tool.risk.rank))
        facts.settled[(call.system, call.tool), call.session] = session, until, rules
    return None, rules


def answer(
    call: Call, facts: AgentFacts, tool: ToolFacts, line: Line, given: tuple[GuardrailAnswer, ...], *, held: bool
) -> Verdict:
    """Apply the answers of guardrails to a covered call. The strictest wins: deny, then step-up, then hold.

    `held` says that a risk signal holds it; a person's approval of this very call releases it. Each of those that stop
    the call is among the reasons, the strictest first.
    """
    stopping = [each for each in given if each.mode == "enforce"]
    stopping.sort(key=lambda each: -guardrail_rules.STRICTNESS[each.effect])
    reasons = tuple(guardrail_rules.reason(each, line.grant) for each in stopping)
    if line.ask and call.approval is None:
        reasons += (Reason(_ASKS, "The grant wants a person to approve every call of this tool.", line.grant),)
    if held and call.approval is None:
        reasons += (Reason(HELD, HELD_BY_RISK, line.grant),)
    if not reasons:
        verdict = allowed(call, tool, line)
        verdict.guardrails = given
        return verdict
    effect, code = stopping[0].effect if stopping else Effect.HOLD, reasons[0].code
    max_age, contexts = guardrail_rules.needed_sign_in(stopping, effect)
    better = replace(remedy(call, facts, code), max_age=max_age, contexts=contexts)
    spoke = (*stopping, *guardrail_rules.stricter(given, effect))
    return Verdict(effect, code, reasons, line.grant, remedy=better, guardrails=spoke)


def allowed(call: Call, tool: ToolFacts, line: Line) -> Verdict:
    """Allow a call that a line covers."""
    verdict = Verdict(Effect.ALLOW, Code.ALLOWED, line.because, line.grant, tool.version)
    if not line.limits.free:
        verdict.measured = line.limits.measured(call.arguments)
    return verdict


def denied(
    question: Call | Issuance,
    facts: AgentFacts,
    code: Code,
    reasons: tuple[Reason, ...] = (),
    needed: tuple[str, ...] = (),
) -> Verdict:
    """Refuse with a code: a denial, or what the code asks for, which is a fresh sign-in or a person's approval."""
    reasons = reasons or (Reason(code, codes.meaning(code).sentence),)
    return Verdict(_EFFECTS.get(code, Effect.DENY), code, reasons, remedy=remedy(question, facts, code, needed))


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
