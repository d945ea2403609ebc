"""The rules that a decision asks, in their order, and which of them gives which code. Pure.

The order is that of `entitlements/decisions/agent_policy.py`. Each code belongs to exactly one rule, so that each
decision can be explained; what a door refuses before a decision, and what happens after one, stand at both ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from entitlements.codes import Code


class Outcome(StrEnum):
    """What a rule said: nothing against the call, something against it, or it was not asked any more."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its key, what it asks, in plain words, and the codes that it gives."""

    key: str
    asks: Any
    codes: frozenset[Code]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that spoke for or against, as recorded. `code` is None where only a sentence was."""

    code: Code | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Step:
    """One rule in one decision: what it said, and its reasons."""

    rule: Rule
    outcome: Outcome
    reasons: tuple[Reason, ...]


def _rule(key: str, asks: Any, *codes: Code) -> Rule:  # noqa: ANN401 - a text, or its translation later
    return Rule(key, asks, frozenset(codes))


RULES: Final = (
    _rule(
        "message",
        _("Was the message well formed, and was its token and its proof one of ours?"),
        *(Code.FEED_UNKNOWN, Code.LEASE_LAPSED, Code.CLOCK_UNKNOWN, Code.RECORD_UNAVAILABLE, Code.RATE_LIMITED),
        *(Code.TOKEN_MISSING, Code.TOKEN_INVALID, Code.AUDIENCE_MISMATCH),
        *(Code.PROOF_INVALID, Code.PROOF_NONCE_NEEDED),
        *(Code.UNKNOWN_METHOD, Code.MALFORMED_CALL, Code.HEADER_MISMATCH, Code.UNSUPPORTED_VERSION),
        *(Code.REQUEST_STATE_INVALID, Code.CAPABILITY_MISSING, Code.TASK_UNKNOWN),
        *(Code.LIMIT_MALFORMED, Code.SCOPE_MALFORMED, Code.DEFINITION_MALFORMED),
        *(Code.OPERATION_UNKNOWN, Code.OPERATION_AMBIGUOUS, Code.PATH_MALFORMED, Code.HEADER_NOT_DECLARED),
        *(Code.PARAMETER_NOT_DECLARED, Code.PARAMETER_REPEATED, Code.PARAMETER_MISSING, Code.PARAMETER_NOT_VALID),
        *(Code.BODY_TYPE_NOT_DECLARED, Code.BODY_NOT_VALID),
    ),
    _rule("stop", _("Was everything stopped?"), Code.EVERYTHING_STOPPED),
    _rule("system", _("Was the system registered and in use?"), Code.SYSTEM_UNKNOWN, Code.SYSTEM_DISABLED),
    _rule(
        "policy_domain",
        _("Where a policy domain decides: did it know the subject, resource and action, and did a rule permit it?"),
        *(Code.SUBJECT_UNKNOWN, Code.RESOURCE_UNKNOWN, Code.ACTION_UNKNOWN, Code.NO_RULE),
    ),
    _rule(
        "agent",
        _("Was the agent registered, in use, and not suspended or retired?"),
        *(Code.AGENT_UNKNOWN, Code.AGENT_STAGED, Code.AGENT_SUSPENDED, Code.AGENT_RETIRED),
    ),
    _rule("sponsor", _("Did an active sponsor answer for the agent?"), Code.SPONSOR_MISSING, Code.SPONSOR_DISABLED),
    _rule("owner", _("Did an owner answer for it, or had one left less than seven days ago?"), Code.OWNER_DISABLED),
    _rule("client", _("Was the client one of this agent, and enabled?"), Code.CLIENT_UNKNOWN, Code.CLIENT_DISABLED),
    _rule("person", _("Was the person that it acted for known and active?"), Code.PERSON_UNKNOWN, Code.PERSON_DISABLED),
    _rule("token", _("Was the token neither revoked nor expired?"), Code.TOKEN_REVOKED, Code.TOKEN_EXPIRED),
    _rule(
        "session",
        _("Was the session open, in use, and the sign-in fresh enough?"),
        *(Code.SESSION_UNKNOWN, Code.SESSION_ENDED, Code.SESSION_EXPIRED, Code.SESSION_IDLE),
        Code.REAUTHENTICATION_DUE,
    ),
    _rule(
        "tool",
        _("Did the system have the tool, and was it approved?"),
        *(Code.UNKNOWN_TOOL, Code.TOOL_NOT_APPROVED, Code.TOOL_QUARANTINED, Code.TOOL_DISABLED, Code.TOOL_REMOVED),
    ),
    _rule("definition", _("Was the tool the one that was shown to the agent?"), Code.TOOL_CHANGED),
    _rule("client_proof", _("Does the client prove who it is, where the tool's risk asks it?"), Code.CLIENT_UNPROVEN),
    _rule(
        "authorization_details",
        _("Did the token's authorization details cover the call?"),
        Code.OUTSIDE_AUTHORIZATION_DETAILS,
    ),
    _rule(
        "grant",
        _("Did a grant give the tool, for this person, at this time?"),
        *(Code.NO_GRANT, Code.GRANT_NOT_STARTED, Code.GRANT_EXPIRED, Code.GRANT_SUSPENDED),
        *(Code.GRANT_NARROWER_THAN_SCOPE, Code.TOOL_DEFINITION_UNUSABLE),
    ),
    _rule(
        "limits",
        _("Were the arguments within the limits of the grant?"),
        *(Code.ARGUMENT_OUTSIDE_LIMIT, Code.ARGUMENT_NOT_DECLARED),
    ),
    _rule("scope", _("Did the token carry the scope of the grant?"), Code.SCOPE_MISSING),
    _rule("arguments", _("Were the arguments what the tool declares?"), Code.ARGUMENT_NOT_VALID),
    _rule(
        "guardrails",
        _("Did no guardrail forbid the call, or want a person's approval?"),
        *(Code.GUARDRAIL, Code.APPROVAL_OF_CALL_REQUIRED, Code.APPROVAL_REQUIRED),
    ),
    _rule(
        "delegation",
        _("Did each agent of the chain permit the one before it, and could each of them have called?"),
        Code.DELEGATION_NOT_PERMITTED,
    ),
    _rule(
        "account",
        _("Where the system is called with accounts of people: was one connected that this agent may use?"),
        *(Code.ACCOUNT_NOT_CONNECTED, Code.ACCOUNT_NEEDS_PERSON),
    ),
    _rule(
        "budgets",
        _("Was enough left of each rate and budget of the grant, the agent and the system?"),
        *(Code.RATE_EXCEEDED, Code.BUDGET_EXHAUSTED, Code.BUDGET_NOT_MEASURABLE),
    ),
    _rule(
        "forwarding",
        _("Was the call still allowed when it was sent, and did the system answer?"),
        *(Code.CALL_WITHDRAWN, Code.UPSTREAM_UNAVAILABLE, Code.SYSTEM_BUSY),
        *(Code.ANSWER_OVER_BUDGET, Code.SECRET_IN_ANSWER, Code.INPUT_MISSING, Code.CALL_OVER),
    ),
)
_PLACES: Final = {code: place for place, rule in enumerate(RULES) for code in rule.codes}


def place(code: Code) -> int:
    """Return the place of the rule that gives a code, from 0; that of no rule for an allowed call."""
    return _PLACES.get(code, len(RULES))


def read(written: Iterable[object]) -> tuple[Reason, ...]:
    """Read reasons as an event keeps them: `code: sentence`, or a sentence alone."""
    return tuple(map(_reason, map(str, written)))


def _reason(text: str) -> Reason:
    word, colon, sentence = text.partition(": ")
    return Reason(Code(word), sentence) if colon and word in Code else Reason(None, text)


def of(code: Code, reasons: Sequence[Reason]) -> tuple[Step, ...]:
    """Return what each rule said in a decision with a code. A reason without a code belongs to the rule of that code.

    All rules before the last that refused were asked: of several grants, each may fail by another rule.
    """
    if code is Code.ALLOWED:
        return tuple(Step(rule, Outcome.PASSED, ()) for rule in RULES)
    own = _PLACES[code]
    refused: dict[int, list[Reason]] = {own: []}
    for reason in reasons:
        refused.setdefault(own if reason.code is None else _PLACES[reason.code], []).append(reason)
    last = max(refused)
    return tuple(
        Step(rule, _outcome(place, refused, last), tuple(refused.get(place, ()))) for place, rule in enumerate(RULES)
    )


def _outcome(place: int, refused: dict[int, list[Reason]], last: int) -> Outcome:
    if place in refused:
        return Outcome.REFUSED
    return Outcome.PASSED if place < last else Outcome.NOT_ASKED
