"""A decision in process: the policy against cedarpy (one policy, handles parsed once) and a look into a dict.

Run as `python -m tests.benchmarks.decision COUNT` under the Python that has cedarpy: of packages the policy needs the
validator of JSON Schema alone, so both are timed in one process.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from entitlements.arguments import Schema
from entitlements.authentication import MULTI_FACTOR
from entitlements.decisions import limits, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Line, SessionFacts, Token, ToolFacts
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from entitlements.session_policies import rules
from entitlements.session_policies.rules import Policy as SessionPolicy
from entitlements.session_policies.rules import SignedIn
from entitlements.words import Action, Risk, Status, ToolState
from tests.benchmarks import measure

NOW = 1_000_000.0
ROUNDS = 10
TURNS = 41
PLAIN = "policy, plain grant"
TOGETHER = "policy, plain grant under 51 guardrails and three session policies"
LIMITS = {
    "timezone": {"one_of": ["Europe/Paris", "Europe/Berlin"]},
    "amount": {"max": 100, "optional": True},
    "path": {"under": "/srv/reports"},
}
INSIDE = {"timezone": "Europe/Paris", "amount": 20, "path": "/srv/reports/2026/may.csv"}
SCHEMA = {
    "type": "object",
    "properties": {"timezone": {"type": "string"}, "amount": {"type": "number"}, "path": {"$ref": "#/$defs/path"}},
    "required": ["timezone", "path"],
    "$defs": {"path": {"type": "string", "pattern": "^/"}},
}
CEDAR = """
permit (principal == Agent::"assistant", action == Action::"call", resource == Tool::"time/get")
when { context.person == "ana" && context.now < 2000000 };
"""


POLICIES = (
    SessionPolicy("everyone", idle=1800.0, absolute=28_800.0),
    SessionPolicy("time", max_age=86_400.0, acr=(MULTI_FACTOR,)),
    SessionPolicy("high", Risk.HIGH, amr=frozenset({"pop"})),
)


def facts(
    stored: dict[str, Any], guardrails: tuple[Guardrail, ...] = (), policies: tuple[SessionPolicy, ...] = ()
) -> AgentFacts:
    """Return one agent's facts, with a grant of one tool for each of a hundred people."""
    people = ["ana", *(f"person-{number}" for number in range(99))]
    tool = ToolFacts(
        "time", "get", ToolState.APPROVED, "1", "digest", Action.READ, Risk.LOW, Schema(json.dumps(SCHEMA))
    )
    line = Line("grant-1", "time:read", NOW - 10, NOW + 3600, limits.compile(stored))
    return AgentFacts(
        agent="assistant",
        position=1,
        status=Status.ACTIVE,
        sponsor=Status.ACTIVE,
        clients={"client": Status.ACTIVE},
        people=dict.fromkeys(people, Status.ACTIVE),
        systems={"time": Status.ACTIVE},
        tools={("time", "get"): tool},
        lines={("time", "get", person): (line,) for person in people},
        sessions={
            "session": SessionFacts(
                *("ana", NOW + 900, NOW + 3600, NOW - 60),
                began=NOW - 600,
                last_used=NOW - 60,
                signed_in=SignedIn(NOW - 660, MULTI_FACTOR, frozenset({"pwd", "otp", "mfa"})),
            )
        },
        session_terms=rules.levels(policies),
        tokens_valid_after=0.0,
        guardrails=guardrails,
    )


def ours(
    stored: dict[str, Any], guardrails: tuple[Guardrail, ...] = (), policies: tuple[SessionPolicy, ...] = ()
) -> Callable[[], object]:
    """Decide a call with its token and session, as the gateway asks."""
    known = facts(stored, guardrails, policies)
    token = Token("jti", NOW - 5, NOW + 300, frozenset({"time:read"}))
    call = Call("assistant", "client", "ana", "time", "get", INSIDE, token, "session", "digest")
    assert policy.decide(call, known, NOW).effect is Effect.ALLOW
    return lambda: policy.decide(call, known, NOW)


def dictionary() -> Callable[[], object]:
    """Look into a dict: the floor under any decision in Python."""
    allowed = {("assistant", "ana", "time", "get"): NOW + 3600}
    return lambda: allowed.get(("assistant", "ana", "time", "get"), 0) > NOW


def cedar() -> Callable[[], object]:
    """Ask cedarpy. Raises ImportError where it is not installed."""
    cedarpy = importlib.import_module("cedarpy")
    policies, entities = cedarpy.PolicySet.from_str(CEDAR), cedarpy.Entities.from_json_str("[]")
    request = {
        "principal": 'Agent::"assistant"',
        "action": 'Action::"call"',
        "resource": 'Tool::"time/get"',
        "context": {"person": "ana", "now": int(NOW)},
    }
    assert cedarpy.is_authorized(request, policies, entities).allowed
    return lambda: cedarpy.is_authorized(request, policies, entities)


def share_of(plain: Callable[[], object], guarded: Callable[[], object], count: int) -> float:
    """Return how much more processor time one takes than the other, as a share: the median of many short turns.

    Processor time leaves out what else the machine does; the turns alternate, each begun by the other one.
    """
    shares = []
    for turn in range(TURNS):
        taken = {}
        for run in (plain, guarded) if turn % 2 else (guarded, plain):
            begun = time.process_time_ns()
            for _ in range(count):
                run()
            taken[run] = time.process_time_ns() - begun
        shares.append(taken[guarded] / taken[plain] - 1)
    return statistics.median(shares)


def main(count: int) -> None:
    """Print p50 and p99 of each as JSON; null for cedarpy where it is missing."""
    rails = (
        Guardrail("no deletes", Effect.DENY, actions=frozenset({Action.DELETE})),
        Guardrail("risky", Effect.HOLD, risks=frozenset({Risk.HIGH})),
    )
    others = tuple(Guardrail(f"system {n}", Effect.DENY, systems=frozenset({f"system-{n}"})) for n in range(50))
    asking = (Guardrail("sessions at risk", Effect.DENY, session_risk=Risk.HIGH), *others)
    contenders = {
        PLAIN: ours({}),
        "policy, plain grant under three session policies": ours({}, policies=POLICIES),
        "policy, limits on three arguments": ours(LIMITS),
        "policy, limits and two guardrails": ours(LIMITS, rails),
        "policy, plain grant, 50 guardrails of others": ours({}, others),
        "policy, plain grant, one of 51 guardrails asks": ours({}, asking),
        TOGETHER: ours({}, asking, POLICIES),
        "dict": dictionary(),
    }
    try:
        contenders["cedarpy"] = cedar()
    except ImportError:
        print("cedarpy cannot be imported here", file=sys.stderr)
    share = share_of(contenders[PLAIN], contenders[TOGETHER], max(count // TURNS, 1))
    print(
        f"guardrails and session policies together: {share:+.0%} of a plain decision's processor time (at most 20 %)",
        file=sys.stderr,
    )
    each = max(count // ROUNDS, 1)
    turns = {name: lambda run=run: measure.loop(run, each) for name, run in contenders.items()}
    found = measure.interleaved(turns, ROUNDS)
    print(json.dumps({name: [times.at(0.5), times.at(0.99)] for name, times in found.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
