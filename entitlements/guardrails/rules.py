"""What guardrails say of a call that a grant covers. Pure: they take away, and never give.

What cannot be known of a call matches: a session that is not there, arguments that are not stated or cannot be read.
Of a list of tools the arguments are not known and not asked about: a tool is in it that some call could reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from entitlements.codes import Code
from entitlements.decisions.limits import Compiled
from entitlements.decisions.snapshot import AgentFacts, Call, SessionFacts, ToolFacts
from entitlements.decisions.verdicts import Effect, Reason
from entitlements.guardrails import argument_matches
from entitlements.guardrails.hours import Hours
from entitlements.session_policies.rules import covers, shared_contexts
from entitlements.words import Action, Risk

STRICTNESS: Final = {Effect.ALLOW: 0, Effect.HOLD: 1, Effect.STEP_UP: 2, Effect.DENY: 3}
CODES: Final = {
    Effect.DENY: Code.GUARDRAIL,
    Effect.STEP_UP: Code.REAUTHENTICATION_DUE,
    Effect.HOLD: Code.APPROVAL_REQUIRED,
}
_SENTENCES: Final = {
    Effect.DENY: "The guardrail “{name}” forbids this call.",
    Effect.STEP_UP: "The guardrail “{name}” wants a fresh sign-in for this call.",
    Effect.HOLD: "The guardrail “{name}” wants a person's approval of this call, and calls cannot wait for one yet.",
}


@dataclass(frozen=True, slots=True)
class GuardrailAnswer:
    """What one guardrail said of a call: by its key, its public name, its version, its effect and its mode.

    Where it asks for a sign-in, `max_age` is how old that may be, in seconds, and `acr` of which contexts it is one.
    """

    key: str
    name: str
    version: int
    effect: Effect
    mode: str
    max_age: float
    acr: tuple[str, ...] = ()

    @property
    def written(self) -> dict[str, object]:
        """Return what the audit log keeps of it."""
        return {"name": self.name, "version": self.version, "effect": self.effect.value, "mode": self.mode}


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A rule over every grant: calls that match are denied, held for a person, or need a fresh sign-in.

    A selector of None matches everything; an empty one is refused, since it would match nothing in silence. What cannot
    be known of a call matches. `tools` are pairs of system and tool, with an empty system for the tool of that name
    anywhere. `depth` is the least number of agents behind the one that acts, for each agent of its chain. A guardrail
    that `observes` changes no answer. `is_broken`, where its terms cannot be read, matches every call. `max_age` is in
    seconds, `acr` are the contexts of which a step-up asks for one, and `position` is its version in the set of all
    guardrails.
    """

    name: str
    effect: Effect
    key: str = ""
    position: int = 0
    observes: bool = False
    systems: frozenset[str] | None = None
    tools: frozenset[tuple[str, str]] | None = None
    actions: frozenset[Action] | None = None
    risks: frozenset[Risk] | None = None
    data_classes: frozenset[str] | None = None
    agent_kinds: frozenset[str] | None = None
    depth: int = 0
    arguments: Compiled | None = None
    hours: Hours | None = None
    labels: frozenset[str] | None = None
    session_risk: Risk | None = None
    max_age: float = 300.0
    acr: tuple[str, ...] = ()
    is_broken: bool = False
    answer: GuardrailAnswer = field(init=False)
    session_risks: tuple[Risk, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a guardrail that could never stop anything, and prepare what it answers."""
        selectors = (self.systems, self.tools, self.actions, self.risks, self.data_classes, self.agent_kinds)
        if self.effect is Effect.ALLOW or any(
            selector is not None and not selector for selector in (*selectors, self.labels)
        ):
            raise ValueError(f"guardrail {self.name!r} can never stop a call")
        mode = "observe" if self.observes else "enforce"
        answer = GuardrailAnswer(self.key, self.name, self.position, self.effect, mode, self.max_age, self.acr)
        object.__setattr__(self, "answer", answer)
        least = 0 if self.session_risk is None else self.session_risk.rank
        object.__setattr__(self, "session_risks", tuple(risk for risk in Risk if risk.rank >= least))


def guardrails_of(facts: AgentFacts, tool: ToolFacts) -> tuple[Guardrail, ...]:
    """Return the guardrails that can match calls of a tool by this agent; found once for each tool."""
    found = facts.concerning.get((tool.system, tool.name))
    if found is None:
        found = tuple(rule for rule in facts.guardrails if concerns(rule, tool, facts.kind))
        facts.concerning[tool.system, tool.name] = found
    return found


def settled(
    rules: Iterable[Guardrail], session: SessionFacts | None, now: float
) -> tuple[float, tuple[Guardrail, ...]]:
    """Return until when it is settled that the others say nothing in a session, and the guardrails still to be asked.

    Settled are those that the labels, the risk level or the sign-in of the session keep silent, whatever the call.
    """
    until, left = math.inf, []
    for rule in rules:
        if session is None or rule.is_broken or _is_of_session(rule, session):
            if session is not None and rule.effect is Effect.STEP_UP and _is_met(rule, session, now):
                until = min(until, session.authenticated_at + rule.max_age)
            else:
                left.append(rule)
    return until, tuple(left)


def answers(
    rules: Iterable[Guardrail],
    call: Call,
    facts: AgentFacts,
    now: float,
    listing: bool,  # noqa: FBT001 - on every call
) -> tuple[GuardrailAnswer, ...]:
    """Return what each guardrail answers that matches, also those that observe; nothing of those that are content.

    `rules` are those that can match calls of the tool (`guardrails_of`).
    """
    session = facts.sessions.get(call.session) if call.session is not None else None
    given: tuple[GuardrailAnswer, ...] = ()
    for rule in rules:
        if _matches(rule, call, session, now, listing) and not _is_content(rule, call, session, now):
            given += (rule.answer,)
    return given


def forbids(facts: AgentFacts, system: str, name: str) -> bool:
    """Say whether a guardrail forbids every call of a tool by this agent, whatever the moment and the session."""
    tool = facts.tools.get((system, name)) if facts.guardrails else None
    return tool is not None and any(
        rule.effect is Effect.DENY
        and not rule.observes
        and _is_unconditional(rule)
        and concerns(rule, tool, facts.kind)
        for rule in facts.guardrails
    )


def needed_sign_in(given: Iterable[GuardrailAnswer], effect: Effect) -> tuple[int | None, tuple[str, ...]]:
    """Return which sign-in all that ask for one want: how old at most, in seconds, and in one of which contexts.

    None and nothing where a sign-in is not the answer.
    """
    asking = [each for each in given if each.effect is Effect.STEP_UP]
    if effect is not Effect.STEP_UP:
        return None, ()
    return math.floor(min(each.max_age for each in asking)), shared_contexts([each.acr for each in asking if each.acr])


def stricter(given: tuple[GuardrailAnswer, ...], effect: Effect) -> tuple[GuardrailAnswer, ...]:
    """Return those that observe and would have answered more strictly than was answered."""
    return tuple(each for each in given if each.mode == "observe" and STRICTNESS[each.effect] > STRICTNESS[effect])


def reason(answer: GuardrailAnswer, grant: str) -> Reason:
    """Return the reason that a guardrail gives: its public name, and nothing of its terms."""
    return Reason(CODES[answer.effect], _SENTENCES[answer.effect].format(name=answer.name), grant)


def concerns(rule: Guardrail, tool: ToolFacts, agent_kind: str) -> bool:
    """Say whether a guardrail can match calls of a tool by agents of a kind."""
    return rule.is_broken or (
        (rule.systems is None or tool.system in rule.systems)
        and (rule.tools is None or (tool.system, tool.name) in rule.tools or ("", tool.name) in rule.tools)
        and (rule.actions is None or tool.action in rule.actions)
        and (rule.risks is None or tool.risk in rule.risks)
        and (rule.data_classes is None or not tool.data_class or tool.data_class in rule.data_classes)
        and (rule.agent_kinds is None or not agent_kind or agent_kind in rule.agent_kinds)
    )


def _matches(rule: Guardrail, call: Call, session: SessionFacts | None, now: float, listing: bool) -> bool:  # noqa: FBT001
    return rule.is_broken or (
        (session is None or _is_of_session(rule, session))
        and (call.depth or len(call.chain)) >= rule.depth
        and (rule.arguments is None or (not listing and _arguments_match(rule, call, now)))
        and (rule.hours is None or rule.hours.hold(now))
    )


def _is_of_session(rule: Guardrail, session: SessionFacts) -> bool:
    return (rule.labels is None or not rule.labels.isdisjoint(session.labels)) and (
        rule.session_risk is None or session.risk in rule.session_risks
    )


def _arguments_match(rule: Guardrail, call: Call, now: float) -> bool:
    conditions = rule.arguments
    assert conditions is not None  # noqa: S101 - for the type checker: the caller looked
    return not call.states_arguments or argument_matches.may_match(conditions, call.arguments, now)


def _is_content(rule: Guardrail, call: Call, session: SessionFacts | None, now: float) -> bool:
    """Say whether what a guardrail asks for is there: a fresh sign-in, or a person's approval of this very call."""
    if rule.effect is Effect.HOLD:
        return call.approval is not None
    return rule.effect is Effect.STEP_UP and session is not None and _is_met(rule, session, now)


def _is_met(rule: Guardrail, session: SessionFacts, now: float) -> bool:
    signed_in = session.signed_in
    is_fresh = now - session.authenticated_at <= rule.max_age
    return is_fresh and (not rule.acr or covers(signed_in.acr, signed_in.amr, rule.acr))


def _is_unconditional(rule: Guardrail) -> bool:
    conditions = (rule.labels, rule.session_risk, rule.arguments, rule.hours)
    return rule.is_broken or (rule.depth == 0 and all(each is None for each in conditions))
