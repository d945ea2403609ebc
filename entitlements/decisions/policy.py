"""The policy decision point: pure, synchronous, and the same for every path.

One agent is judged by `agent_policy`. Where agents stand behind the one that acts (a delegation chain), each of them is
judged the same way, with the client through which it acted: all must allow, the strictest answer wins, and what is
issued is what every one of them could have. So each agent that joins a chain can only narrow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from entitlements.codes import Code, meaning
from entitlements.decisions import agent_policy, scopes
from entitlements.decisions.agent_policy import is_revoked_by_stop, is_too_risky
from entitlements.decisions.scopes import Outcome
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, ToolFacts
from entitlements.decisions.verdicts import Effect, Issue, Reason, Remedy, Verdict
from entitlements.guardrails import rules as guardrail_rules
from entitlements.guardrails.rules import GuardrailAnswer

MOST_BEHIND: Final = 4
"""Agents behind the one that acts: a chain of five in all."""
NOTHING_SHARED: Final = "The agents of the delegation chain hold no scope in common."

type Judge[Q: (Call, Issuance)] = Callable[[Q, AgentFacts, float], Verdict]


def decide(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide one tool call for every agent of its chain; see `agent_policy.decide` for the order of one agent's."""
    verdict = agent_policy.decide(call, facts, now)
    return _strictest(agent_policy.decide, verdict, call, facts, now) if call.chain or facts.behind else verdict


def visible_tools(call: Call, facts: AgentFacts, now: float) -> list[ToolFacts]:
    """List the tools that every agent of the chain could call with some arguments, by name."""
    seen = agent_policy.visible_tools(call, facts, now)
    if not (call.chain or facts.behind):
        return seen
    if not _is_chain(call, facts) or _not_permitting(facts):
        return []
    shared = [{tool.name for tool in agent_policy.visible_tools(*link, now)} for link in _behind(call, facts)]
    return [tool for tool in seen if all(tool.name in names for names in shared)]


def reachable(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide a call whose arguments are not known: whether it could pass with some. For proofs that a stop holds."""
    verdict = agent_policy.reachable(call, facts, now)
    return _strictest(agent_policy.reachable, verdict, call, facts, now) if call.chain or facts.behind else verdict


def still_live(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Say whether a token still opens anything at `call.system`: what introspection answers.

    In a chain, at least one scope must be open to all.
    """
    verdict = agent_policy.still_live(call, facts, now)
    if not (call.chain or facts.behind):
        return verdict
    verdict = _strictest(agent_policy.still_live, verdict, call, facts, now)
    if verdict.allowed and not live_scopes(call, facts, now):
        return Verdict(Effect.DENY, Code.NO_GRANT, (Reason(Code.NO_GRANT, NOTHING_SHARED),))
    return verdict


def live_scopes(call: Call, facts: AgentFacts, now: float) -> tuple[str, ...]:
    """Return the scopes that every agent of the chain holds now, within those of the token, if `still_live` allows."""
    held = agent_policy.live_scopes(call, facts, now)
    if not (call.chain or facts.behind):
        return held
    if not _is_chain(call, facts) or _not_permitting(facts):
        return ()
    shared = [agent_policy.live_scopes(*link, now) for link in _behind(call, facts)]
    return tuple(scope for scope in held if all(scope in each for each in shared))


def may_issue(issuance: Issuance, facts: AgentFacts, now: float) -> Verdict:
    """Decide what one token may carry and how long it may live; the same rule for every grant type.

    In a chain it carries the scopes that every agent could have, stands on the grants of all of them, and ends with
    the first.
    """
    verdict = agent_policy.may_issue(issuance, facts, now)
    if not (issuance.chain or facts.behind):
        return verdict
    verdict = _strictest(agent_policy.may_issue, verdict, issuance, facts, now)
    return verdict if verdict.issue is None else _shared_issue(issuance, facts, now)


def _strictest[Q: (Call, Issuance)](
    judge: Judge[Q], verdict: Verdict, question: Q, facts: AgentFacts, now: float
) -> Verdict:
    """Return the strictest answer about any agent of the chain, the nearest of equals; it names an agent behind.

    Facts about other agents than those of the question's chain, or about fewer, are no answer. Each agent must permit
    the one before it to act for it.
    """
    if not _is_chain(question, facts):
        reason = Reason(Code.AGENT_UNKNOWN, meaning(Code.AGENT_UNKNOWN).sentence)
        return Verdict(Effect.DENY, Code.AGENT_UNKNOWN, (reason,))
    if verdict.effect is not Effect.DENY and (refusing := _not_permitting(facts)):
        code, sentence = Code.DELEGATION_NOT_PERMITTED, meaning(Code.DELEGATION_NOT_PERMITTED).sentence
        return _of_agent(Verdict(Effect.DENY, code, (Reason(code, sentence),)), refusing)
    nearest: Verdict = verdict
    behind: list[Verdict] = []
    for asked, known in _behind(question, facts):
        answer = judge(asked, known, now)
        if guardrail_rules.STRICTNESS[answer.effect] > guardrail_rules.STRICTNESS[verdict.effect]:
            verdict = _of_agent(answer, known.agent)
        behind.append(answer)
    given: tuple[GuardrailAnswer, ...] = tuple(each for answer in (nearest, *behind) for each in answer.guardrails)
    spoke = dict.fromkeys((*verdict.guardrails, *guardrail_rules.stricter(given, verdict.effect)))
    verdict = replace(verdict, guardrails=tuple(spoke))
    if not verdict.allowed:
        return verdict
    grants = tuple(dict.fromkeys(answer.grant for answer in behind if answer.grant is not None))
    measured = {name: number for answer in (*behind, verdict) for name, number in (answer.measured or {}).items()}
    return replace(verdict, behind=grants, measured=measured or None)


def _is_chain(question: Call | Issuance, facts: AgentFacts) -> bool:
    names = [name for name, _ in question.chain]
    no_cycle = len({question.agent, *names}) == len(names) + 1
    return names == [known.agent for known in facts.behind] and no_cycle and len(names) <= MOST_BEHIND


def _not_permitting(facts: AgentFacts) -> str:
    """Name the nearest agent behind that does not let the one before it act for it; empty where all do."""
    links = zip((facts, *facts.behind), facts.behind, strict=False)
    return next((behind.agent for acting, behind in links if acting.agent not in behind.delegates), "")


def _behind[Q: (Call, Issuance)](question: Q, facts: AgentFacts) -> Iterator[tuple[Q, AgentFacts]]:
    """Ask the same about each agent behind, by its own client; a call is as deep for each of them."""
    for (agent, client), known in zip(question.chain, facts.behind, strict=True):
        token = getattr(question, "delegated", None) or question.token
        asked = replace(question, agent=agent, client=client, token=token, chain=())
        if isinstance(asked, Call):
            asked.depth = len(question.chain)
        yield asked, known


def _of_agent(verdict: Verdict, agent: str) -> Verdict:
    reasons = tuple(replace(reason, sentence=f"{agent}: {reason.sentence}") for reason in verdict.reasons)
    return replace(verdict, reasons=reasons, agent=agent)


def _shared_issue(issuance: Issuance, facts: AgentFacts, now: float) -> Verdict:
    """Issue what all could have: ask what each could, then ask each for what is left, and take the least of that."""
    links = [(issuance, facts), *_behind(issuance, facts)]
    could = [_issue(*link, now) for link in links]
    outcomes = {scope: _outcome(scope, could) for scope in could[0].outcomes}
    shared = frozenset(scope for scope, outcome in outcomes.items() if outcome is Outcome.GRANTED)
    least = [_issue(replace(asked, requested=shared), known, now) for asked, known in links] if shared else []
    if not shared or any(frozenset(issue.scopes) != shared for issue in least):
        return _nothing_shared(issuance, facts, could)
    grants = tuple(sorted({grant for issue in least for grant in issue.grants}))
    expires = min(issue.expires for issue in least)
    reason = Reason(Code.ALLOWED, f"Issued for {scopes.join(shared)} until {expires}.")
    issue = Issue(scopes.canonical(shared), expires, grants, outcomes)
    return Verdict(Effect.ALLOW, Code.ALLOWED, (reason,), grants[0] if grants else None, issue=issue)


def _issue(issuance: Issuance, facts: AgentFacts, now: float) -> Issue:
    return agent_policy.may_issue(issuance, facts, now).issue or Issue((), 0, (), {})


def _outcome(scope: str, could: Sequence[Issue]) -> Outcome:
    each = (issue.outcomes.get(scope, Outcome.NOT_HELD) for issue in could)
    return next((outcome for outcome in each if outcome is not Outcome.GRANTED), Outcome.GRANTED)


def _nothing_shared(issuance: Issuance, facts: AgentFacts, could: Sequence[Issue]) -> Verdict:
    """Deny, and name the nearest agent behind that holds nothing of what the acting one could have."""
    wanted = frozenset(could[0].scopes)
    lacking = (
        known.agent for known, issue in zip(facts.behind, could[1:], strict=True) if not wanted & {*issue.scopes}
    )
    agent, no_grant = next(lacking, ""), meaning(Code.NO_GRANT)
    remedy = Remedy(
        no_grant.next, no_grant.remedy, issuance.system or "", "", issuance.person, scopes.canonical(wanted)
    )
    reason = Reason(Code.NO_GRANT, f"{agent}: {NOTHING_SHARED}" if agent else NOTHING_SHARED)
    return Verdict(Effect.DENY, Code.NO_GRANT, (reason,), remedy=remedy, agent=agent)


__all__ = [
    "decide",
    "is_revoked_by_stop",
    "is_too_risky",
    "live_scopes",
    "may_issue",
    "reachable",
    "still_live",
    "visible_tools",
]
