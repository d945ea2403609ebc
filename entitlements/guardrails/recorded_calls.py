"""What a guardrail would have answered to a call that the audit log holds, as far as it can be known. Pure.

The log keeps no arguments but the numbers under a bound, and not how risky a session was or how its person signed in.
Tools and agents are taken as they are classed today.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from entitlements.decisions.snapshot import ToolFacts
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails import argument_matches
from entitlements.guardrails import rules as guardrail_rules
from entitlements.guardrails.rules import Guardrail


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What is still known of the session of a call: when the person signed in, and its labels."""

    signed_in: float
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """An allowed call. `kinds` are those of its agents, the acting one first; empty where an agent is gone.

    `tool` is None where it is gone. `session` is None for a call without one, `is_session_known` False where its row is
    gone.
    """

    at: float
    tool: ToolFacts | None
    kinds: tuple[str, ...]
    numbers: Mapping[str, float]
    session: RecordedSession | None
    is_session_known: bool = True


def would_change(rule: Guardrail, call: RecordedCall) -> bool | None:
    """Say whether a guardrail would have changed the answer to a call; None where that cannot be known."""
    if call.tool is None or not all(call.kinds):
        return None
    depth = len(call.kinds) - 1
    each = [_would_change(rule, call, call.tool, kind, depth) for kind in call.kinds]
    return True if True in each else None if None in each else False


def _would_change(rule: Guardrail, call: RecordedCall, tool: ToolFacts, kind: str, depth: int) -> bool | None:
    if not guardrail_rules.concerns(rule, tool, kind):
        return False
    parts = (
        depth >= rule.depth,
        rule.hours is None or rule.hours.hold(call.at),
        rule.arguments is None or argument_matches.recorded_match(rule.arguments, call.numbers),
        _labelled(rule, call),
        rule.session_risk is None or (True if call.is_session_known and call.session is None else None),
        _is_stale(rule, call),
    )
    return False if False in parts else None if None in parts else True


def _labelled(rule: Guardrail, call: RecordedCall) -> bool | None:
    if rule.labels is None or not call.is_session_known:
        return rule.labels is None or None
    return call.session is None or not rule.labels.isdisjoint(call.session.labels)


def _is_stale(rule: Guardrail, call: RecordedCall) -> bool | None:
    if rule.effect is not Effect.STEP_UP or not call.is_session_known:
        return rule.effect is not Effect.STEP_UP or None
    signed_in = -math.inf if call.session is None else call.session.signed_in
    return call.at - signed_in > rule.max_age or (None if rule.acr else False)
