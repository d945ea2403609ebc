"""Whether a session lets its agent go on: its own end, and what session policies ask of it and its sign-in. Pure.

Session policies are about a person's sign-in: an agent that acts for no one has none. What a token carries is as risky
as the most risky tool of its scopes, a call as its tool, and neither less than its session.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import replace
from typing import Final

from entitlements import codes
from entitlements.codes import Code
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, SessionFacts
from entitlements.decisions.verdicts import Effect, Reason, Remedy, Verdict
from entitlements.session_policies import rules
from entitlements.session_policies.rules import Shortfall, Term, Terms

_OVER: Final = {Term.IDLE: Code.SESSION_IDLE, Term.ABSOLUTE: Code.SESSION_EXPIRED}


def is_needed(question: Call | Issuance) -> bool:
    """Whether a session must be named: wherever a person is acted for, except without any token or at its start."""
    if question.person is None:
        return False
    return question.token is not None if isinstance(question, Call) else not question.begins_session


def blocking_code(session: SessionFacts | None, person: str | None, now: float) -> Code | None:
    """Find what ends or holds a session for everything, by its own limits; None when there is nothing."""
    if session is None or session.person != person:
        return Code.SESSION_UNKNOWN
    if session.ended:
        return Code.SESSION_ENDED
    if not now < session.absolute_until:
        return Code.SESSION_EXPIRED
    if not now < session.idle_until:
        return Code.SESSION_IDLE
    if not now < session.reauthenticate_at:
        return Code.REAUTHENTICATION_DUE
    return Code.APPROVAL_REQUIRED if session.is_held else None


def due(question: Call | Issuance, facts: AgentFacts, rank: int, now: float) -> Verdict | None:
    """Ask for a sign-in where the session of a question falls short of the policies at a risk level; else None.

    `rank` is that of the level. A session that may begin anew without a sign-in is denied as one that lapsed.
    """
    terms = _terms(question, facts, rank)
    short = None if terms is None else _shortfall(terms, question, facts, now)
    return None if short is None else _asked(question, short)


def terms_until(call: Call, facts: AgentFacts, rank: int) -> float:
    """Return until when the session of a call that meets the policies at a risk level goes on to do so."""
    terms, session = _terms(call, facts, rank), _session(call, facts)
    if terms is None or session is None:
        return math.inf
    return rules.until(terms, session.signed_in, session.began, session.last_used)


def until(question: Issuance, facts: AgentFacts, rank: int, now: float, limit: float) -> float:
    """Return how long a token may live that is issued now, at most until `limit`."""
    terms, session = _terms(question, facts, rank), _session(question, facts)
    if terms is None:
        return limit
    signed_in, began = (question.signed_in, now) if session is None else (session.signed_in, session.began)
    return min(limit, rules.until(terms, signed_in, began, now))


def looks_back(facts: AgentFacts) -> bool:
    """Whether a policy asks about the sessions before one that begins."""
    return any(
        terms is not None and not terms.renews for each in (facts, *facts.behind) for terms in each.session_terms
    )


def rank_of_scopes(
    facts: AgentFacts, system: str | None, person: str | None, scopes: Container[str] | None, now: float
) -> int:
    """Return the rank of the most risky tool that scopes carry for a person now; with None, of all that are held."""
    if not facts.session_terms or facts.session_terms[0] is facts.session_terms[-1]:
        return 0
    ranks = (
        facts.tools[system or "", tool].risk.rank
        for tool, line in facts.held.get((system or "", person), ())
        if (scopes is None or line.scope in scopes)
        and line.starts <= now < line.expires
        and (system or "", tool) in facts.tools
    )
    return max(ranks, default=0)


def _terms(question: Call | Issuance, facts: AgentFacts, rank: int) -> Terms | None:
    if not facts.session_terms or question.person is None:
        return None
    session = _session(question, facts)
    return facts.session_terms[rank if session is None else max(rank, session.risk.rank)]


def _session(question: Call | Issuance, facts: AgentFacts) -> SessionFacts | None:
    return None if question.session is None else facts.sessions.get(question.session)


def _shortfall(terms: Terms, question: Call | Issuance, facts: AgentFacts, now: float) -> Shortfall | None:
    """Judge the session; where one begins, the sign-in; where there is neither, a sign-in of which nothing is known.

    The last is a question of AuthZEN that comes without a token.
    """
    session = _session(question, facts)
    if session is not None:
        return rules.shortfall(terms, session.signed_in, session.began, session.last_used, now)
    if isinstance(question, Issuance):
        return rules.of_beginning(terms, question.signed_in, question.earlier, now)
    return rules.of_sign_in(terms, rules.UNKNOWN, now)


def _asked(question: Call | Issuance, short: Shortfall) -> Verdict:
    code = _OVER[short.term] if short.may_begin_anew else Code.REAUTHENTICATION_DUE
    meaning, tool = codes.meaning(code), question.tool if isinstance(question, Call) else ""
    remedy = Remedy(meaning.next, meaning.remedy, question.system or "", tool, question.person)
    if code is Code.REAUTHENTICATION_DUE:
        remedy = replace(remedy, max_age=short.max_age, contexts=short.contexts)
    effect = Effect.STEP_UP if code is Code.REAUTHENTICATION_DUE else Effect.DENY
    return Verdict(effect, code, (Reason(code, short.sentence),), remedy=remedy)
