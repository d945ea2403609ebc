"""What the policy says about one agent: pure, synchronous, and the same for every path.

Denies unless one live grant line covers the person, the tool and the arguments.
Nothing here reads a clock, a database or a setting: facts come in as a snapshot, and `now` is in epoch seconds.
Comparisons are written so that a NaN denies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions import restrictions, scopes, session_terms
from entitlements.decisions.limits import NotCovered
from entitlements.decisions.restrictions import denied
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, Line, ToolFacts
from entitlements.decisions.verdicts import Effect, Issue, Reason, Verdict
from entitlements.guardrails import rules as guardrail_rules
from entitlements.words import REDEEMING, Risk, Status, ToolState

# Read once: looking an enum member up costs more than comparing it.
_ACTIVE: Final = Status.ACTIVE
_APPROVED: Final = ToolState.APPROVED
_ALLOW: Final = Effect.ALLOW
_MEDIUM: Final = Risk.MEDIUM.rank
_UNUSABLE: Final = Code.TOOL_DEFINITION_UNUSABLE
_DETAILS: Final = Code.OUTSIDE_AUTHORIZATION_DETAILS
_HELD: Final = restrictions.HELD

_AGENT: Final = {
    Status.STAGED: Code.AGENT_STAGED,
    Status.RETIRED: Code.AGENT_RETIRED,
    Status.MISSING: Code.AGENT_UNKNOWN,
}
_TOOL: Final = {
    ToolState.PENDING: Code.TOOL_NOT_APPROVED,
    ToolState.QUARANTINED: Code.TOOL_QUARANTINED,
    ToolState.REMOVED: Code.TOOL_REMOVED,
}
_MISSING: Final = (Code.NO_GRANT, Code.GRANT_EXPIRED)
_MOST_TELLING: Final = (
    Code.SCOPE_MISSING,
    Code.GUARDRAIL,
    Code.ARGUMENT_NOT_DECLARED,
    Code.ARGUMENT_OUTSIDE_LIMIT,
    Code.GRANT_SUSPENDED,
    Code.GRANT_NOT_STARTED,
    Code.GRANT_EXPIRED,
)


def decide(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide one tool call: allow, deny, hold or step-up, always with a code and reasons.

    The first thing that blocks the call names the code, in a fixed order: stop,
    system, agent, sponsor, owner, client, person, token, session, tool, grant.
    """
    return _decide(call, facts, now, listing=False)


def visible_tools(call: Call, facts: AgentFacts, now: float) -> list[ToolFacts]:
    """List the tools of `call.system` that this caller could call with some arguments, by name.

    Takes the same decision as `decide`, so that list and call cannot differ; only the arguments are left out, and
    `call.tool` is not looked at. A tool that would be held, or wants a fresh sign-in by a guardrail, is listed; with a
    sign-in due for the whole session nothing is.
    """
    seen: list[ToolFacts] = []
    if call.token is not None and session_terms.due(call, facts, 0, now) is not None:
        return seen
    for system, name in sorted(key for key in facts.tools if key[0] == call.system):
        probe = replace(call, tool=name, arguments={}, definition=None)
        verdict = _decide(probe, facts, now, listing=True)
        if verdict.grant is not None and verdict.effect is not Effect.DENY:
            seen.append(facts.tools[system, name])
    return seen


def reachable(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Decide a call whose arguments are not known: whether it could pass with some. For proofs that a stop holds."""
    return _decide(call, facts, now, listing=True)


def still_live(call: Call, facts: AgentFacts, now: float) -> Verdict:
    """Say whether a token still opens anything at `call.system`: what introspection answers.

    The tool and the arguments of the call are not looked at. Deny with NO_GRANT when no
    live line of an approved tool is left for any of the token's scopes.
    """
    code = _blocking_code(call, facts, now)
    if code is not None:
        return denied(call, facts, code)
    opened = None if call.token is None or call.token.covers_all else call.token.scopes
    rank = session_terms.rank_of_scopes(facts, call.system, call.person, opened, now) if call.whole_token else 0
    if call.token is not None and (due := session_terms.due(call, facts, rank, now)) is not None:
        return due
    best = _best_lines(facts, call.system, call.person, now)
    for scope in sorted(best):
        if call.token is None or call.token.covers_all or scope in call.token.scopes:
            return Verdict(_ALLOW, Code.ALLOWED, best[scope].because, best[scope].grant)
    return denied(call, facts, Code.NO_GRANT)


def live_scopes(call: Call, facts: AgentFacts, now: float) -> tuple[str, ...]:
    """Return the scopes that are held at `call.system` now, within those of the token, where `still_live` allows."""
    held, token = _best_lines(facts, call.system, call.person, now), call.token
    return scopes.canonical(held if token is None or token.covers_all else token.scopes & held.keys())


def is_revoked_by_stop(client: str, issued: float, facts: AgentFacts) -> bool:
    """Whether what a client was issued then died when the client or its agent was stopped, also if both are back."""
    valid_after = facts.client_tokens_valid_after.get(client, -math.inf)
    return not (issued > facts.tokens_valid_after and issued > valid_after)


def is_too_risky(tool: ToolFacts) -> bool:
    """Whether a tool is more than a client may call that does not prove who it is: any program can claim its name."""
    return tool.risk.rank > _MEDIUM


def may_issue(issuance: Issuance, facts: AgentFacts, now: float) -> Verdict:
    """Decide what one token may carry and how long it may live; the same rule for every grant type.

    Granted = requested, within what is redeemed, within what is held. A scope ends with the latest of the live grants
    that carry it; a token ends with the *earliest* of its scopes, so it outlives neither its session nor a grant that
    it stands on (`issue.grants`). One for all systems stands on none. Nothing left over is a denial with the request
    that would help, or (`may_be_empty`) a token without a scope. `issue.expires` is rounded down to a second.
    """
    if issuance.flow in REDEEMING and issuance.token is None:
        return denied(issuance, facts, Code.TOKEN_MISSING)
    code = _blocking_code(issuance, facts, now)
    if code is not None and not (code is _HELD and issuance.system is None):
        return denied(issuance, facts, code)
    if issuance.system is None:
        return _sign_in(issuance, facts, now)
    best = _best_lines(facts, issuance.system, issuance.person, now)
    ceiling = issuance.token.scopes if issuance.token and issuance.flow in REDEEMING else None
    system = None if issuance.for_all_systems else issuance.system
    narrowed = scopes.narrow(issuance.requested, best, system=system, ceiling=ceiling)
    chosen = [best[scope] for scope in narrowed.granted]
    if chosen:
        ends = math.inf if issuance.for_all_systems else min(line.expires for line in chosen)
        grants = () if issuance.for_all_systems else tuple(sorted({line.grant for line in chosen}))
        verdict = _minted(issuance, facts, now, ends, Issue(narrowed.granted, 0, grants, narrowed.outcomes))
    else:
        verdict = _no_line(issuance, facts, _near_misses(issuance, facts, narrowed.outcomes, now))
    if verdict.allowed or not _may_go_empty(issuance, verdict, narrowed.outcomes):
        return verdict
    return _minted(issuance, facts, now, math.inf, Issue((), 0, (), narrowed.outcomes))


def _may_go_empty(issuance: Issuance, verdict: Verdict, outcomes: Mapping[str, scopes.Outcome]) -> bool:
    """Whether the one thing that is missing is a grant, for scopes that could be granted to the person here."""
    could_be_held = not outcomes or bool({*outcomes.values()} & {scopes.Outcome.NOT_HELD, scopes.Outcome.GRANTED})
    return issuance.may_be_empty and issuance.person is not None and verdict.code in _MISSING and could_be_held


def _decide(call: Call, facts: AgentFacts, now: float, *, listing: bool) -> Verdict:  # noqa: C901, PLR0911, PLR0912 - one order
    """Decide, for list and call alike. `listing` leaves out the arguments only: unreadable limits still count."""
    code = _blocking_code(call, facts, now)
    if code is not None and code is not _HELD:
        return denied(call, facts, code)
    tool = facts.tools.get((call.system, call.tool))
    if tool is None:
        return denied(call, facts, Code.UNKNOWN_TOOL)
    if tool.state is not _APPROVED:
        return denied(call, facts, _TOOL.get(tool.state, Code.TOOL_DISABLED))
    if call.definition is not None and call.definition != tool.definition:
        return denied(call, facts, Code.TOOL_CHANGED)
    if call.client in facts.unproven_clients and is_too_risky(tool):
        return denied(call, facts, Code.CLIENT_UNPROVEN)
    token, shown = call.token, None if listing else call.arguments
    if token is not None and token.details is not None and (outside := token.details.outside(call.tool, shown, now)):
        return denied(call, facts, _DETAILS, (Reason(_DETAILS, outside),))
    is_restricted = facts.guardrails or facts.session_terms
    due, rules = restrictions.look(call, facts, tool, now, listing) if is_restricted else (None, ())
    asking: Line | None = None
    missed: list[Reason] = []
    for line in facts.lines.get((call.system, call.tool, call.person), ()):
        if line.suspended or not line.starts <= now < line.expires:
            missed.append(_out_of_time(line, now))
            continue
        if tool.schema.broken:
            return denied(call, facts, _UNUSABLE, (Reason(_UNUSABLE, tool.schema.broken),))
        is_limited = not line.limits.free and (not listing or line.limits.broken)
        if is_limited and (outside_it := _outside(line, call, tool, now)):
            missed.append(outside_it)
            continue
        if token is not None and line.scope not in token.scopes and not token.covers_all:
            missed.append(Reason(Code.SCOPE_MISSING, line.scope, line.grant))
            continue
        if not listing and call.states_arguments and (problem := tool.schema.problem(call.arguments)):
            return denied(call, facts, Code.ARGUMENT_NOT_VALID, (Reason(Code.ARGUMENT_NOT_VALID, problem),))
        if due is not None:
            return replace(due, grant=line.grant)
        if line.ask:
            asking = asking or line
            continue
        given = guardrail_rules.answers(rules, call, facts, now, listing) if rules else ()
        if given or code is not None:
            return restrictions.answer(call, facts, tool, line, given, held=code is not None)
        if line.limits.free:
            return Verdict(_ALLOW, Code.ALLOWED, line.because, line.grant, tool.version)
        return restrictions.allowed(call, tool, line)
    if asking is None:
        return _no_line(call, facts, missed)
    given = guardrail_rules.answers(rules, call, facts, now, listing)
    return restrictions.answer(call, facts, tool, asking, given, held=code is not None)


def _outside(line: Line, call: Call, tool: ToolFacts, now: float) -> Reason | None:
    """Say why the limits of a line do not cover the arguments of a call; None where they do."""
    covered = line.limits.covers(call.arguments, now)
    if isinstance(covered, NotCovered):
        return Reason(Code.ARGUMENT_OUTSIDE_LIMIT, covered.sentence, line.grant)
    if undeclared := line.limits.undeclared(call.arguments, tool.schema.place):
        return Reason(Code.ARGUMENT_NOT_DECLARED, undeclared, line.grant)
    return None


def _blocking_code(  # noqa: C901, PLR0911, PLR0912 - one order, read from top to bottom; calls cost more than lines
    question: Call | Issuance, facts: AgentFacts, now: float
) -> Code | None:
    """Find the first thing that stops everything for this caller, whatever the tool; None when there is none.

    A hold by a risk signal comes last: it ends at a covered call, which a person could approve.
    """
    if facts.stopped:
        return Code.EVERYTHING_STOPPED
    if question.system is not None:
        system = facts.systems.get(question.system)
        if system is not _ACTIVE:
            return Code.SYSTEM_UNKNOWN if system is None else Code.SYSTEM_DISABLED
    if question.agent != facts.agent:
        return Code.AGENT_UNKNOWN
    if facts.status is not _ACTIVE:
        return _AGENT.get(facts.status, Code.AGENT_SUSPENDED)
    if now >= facts.agent_until:
        return Code.AGENT_RETIRED
    if facts.sponsor is not _ACTIVE:
        return Code.SPONSOR_MISSING if facts.sponsor is Status.MISSING else Code.SPONSOR_DISABLED
    if now >= facts.owner_until:
        return Code.OWNER_DISABLED
    client = facts.clients.get(question.client)
    if client is not _ACTIVE:
        return Code.CLIENT_UNKNOWN if client is None else Code.CLIENT_DISABLED
    if question.person is not None:
        person = facts.people.get(question.person)
        if person is not _ACTIVE:
            return Code.PERSON_UNKNOWN if person is None else Code.PERSON_DISABLED
    if question.token is not None:
        if question.token.jti in facts.dead_tokens or is_revoked_by_stop(question.client, question.token.issued, facts):
            return Code.TOKEN_REVOKED
        if not now < question.token.expires:
            return Code.TOKEN_EXPIRED
    if question.session is not None:
        code = session_terms.blocking_code(facts.sessions.get(question.session), question.person, now)
        if code is not None:
            return code
    elif session_terms.is_needed(question):
        return Code.SESSION_UNKNOWN
    return _HELD if facts.is_held or question.person in facts.held_people else None


def _out_of_time(line: Line, now: float) -> Reason:
    if line.suspended:
        return Reason(Code.GRANT_SUSPENDED, codes.meaning(Code.GRANT_SUSPENDED).sentence, line.grant)
    code = Code.GRANT_NOT_STARTED if now < line.starts else Code.GRANT_EXPIRED
    return Reason(code, codes.meaning(code).sentence, line.grant)


def _near_misses(
    issuance: Issuance, facts: AgentFacts, wanted: Mapping[str, scopes.Outcome], now: float
) -> list[Reason]:
    """Say for every line of a wanted scope why it cannot carry a token now."""
    missed = []
    for tool, line in facts.held.get((issuance.system or "", issuance.person), ()):
        if issuance.requested is not None and wanted.get(line.scope) is not scopes.Outcome.NOT_HELD:
            continue
        if line.suspended or not line.starts <= now < line.expires:
            missed.append(_out_of_time(line, now))
        elif guardrail_rules.forbids(facts, issuance.system or "", tool):
            missed.append(Reason(Code.GUARDRAIL, f"A guardrail forbids every call of the tool {tool}.", line.grant))
        else:
            missed.append(Reason(Code.NO_GRANT, f"The tool {tool} is not approved at present.", line.grant))
    return sorted(missed, key=lambda reason: reason.sentence)


def _no_line(call: Call | Issuance, facts: AgentFacts, missed: list[Reason]) -> Verdict:
    """Deny with the most telling of the near misses, and show them all."""
    met = {reason.code for reason in missed}
    code = next((code for code in _MOST_TELLING if code in met), Code.NO_GRANT)
    needed = tuple(reason.sentence for reason in missed if reason.code is Code.SCOPE_MISSING)
    return denied(call, facts, code, tuple(missed), scopes.canonical(needed))


def _live_lines(facts: AgentFacts, system: str, person: str | None, now: float) -> Iterator[Line]:
    for tool, line in facts.held.get((system, person), ()):
        pinned = facts.tools.get((system, tool))
        if pinned is None or pinned.state is not _APPROVED or line.suspended:
            continue
        if line.starts <= now < line.expires and not guardrail_rules.forbids(facts, system, tool):
            yield line


def _best_lines(facts: AgentFacts, system: str, person: str | None, now: float) -> dict[str, Line]:
    """Choose for every scope held now the line whose grant lasts longest."""
    best: dict[str, Line] = {}
    for line in _live_lines(facts, system, person, now):
        if line.scope not in best or line.expires > best[line.scope].expires:
            best[line.scope] = line
    return best


def _sign_in(issuance: Issuance, facts: AgentFacts, now: float) -> Verdict:
    """Issue at the identity side: no right is carried, so no grant is needed, and every principal still is."""
    wanted = issuance.requested if issuance.requested is not None else frozenset({"openid"})
    if issuance.token is not None and issuance.flow in REDEEMING:
        wanted &= issuance.token.scopes
    granted = scopes.canonical(wanted & scopes.PROTOCOL_SCOPES)
    outcomes = {
        scope: scopes.Outcome.GRANTED if scope in granted else scopes.Outcome.OTHER_SYSTEM
        for scope in scopes.canonical(issuance.requested or granted)
    }
    return _minted(issuance, facts, now, math.inf, Issue(granted, 0, (), outcomes))


def _minted(issuance: Issuance, facts: AgentFacts, now: float, ends: float, issue: Issue) -> Verdict:
    """Cap the life of what is issued; a token that would be dead on arrival is not issued."""
    rank = session_terms.rank_of_scopes(facts, issuance.system, issuance.person, issue.scopes, now)
    if (due := session_terms.due(issuance, facts, rank, now)) is not None:
        return due
    limit = session_terms.until(issuance, facts, rank, now, min(now + issuance.lifetime, ends, facts.agent_until))
    if issuance.session is not None:
        limit = min(limit, facts.sessions[issuance.session].absolute_until)
    expires = math.floor(limit) if math.isfinite(limit) else 0
    if not expires > now:
        return denied(issuance, facts, Code.GRANT_EXPIRED)
    minted = Issue(issue.scopes, expires, issue.grants, issue.outcomes)
    reason = Reason(Code.ALLOWED, f"Issued for {scopes.join(issue.scopes) or 'sign-in'} until {expires}.")
    return Verdict(_ALLOW, Code.ALLOWED, (reason,), issue.grants[0] if issue.grants else None, issue=minted)
