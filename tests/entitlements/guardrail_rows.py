"""What mutants of the rules must notice about guardrails, and mistakes in them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Final

from entitlements.codes import Code
from entitlements.decisions import limits
from entitlements.decisions.snapshot import UNLIMITED
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from entitlements.session_policies import rules
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, World


def guarded(*rules: Guardrail) -> World:
    """Build the world of an allowed call under guardrails."""
    world = worlds.allowed()
    world.facts.guardrails = rules
    return world


def more_calls() -> Iterator[tuple[str, World, Code]]:
    forbid = partial(Guardrail, "x", Effect.DENY)
    yield "observes", guarded(forbid(observes=True)), Code.ALLOWED
    yield "no chain", guarded(forbid(depth=1)), Code.ALLOWED
    yield (
        "broken",
        guarded(forbid(is_broken=True, systems=frozenset({"git"}), labels=frozenset({"x"}))),
        Code.GUARDRAIL,
    )
    paris = limits.compile({"timezone": {"equals": "Europe/Paris"}})
    yield "argument matches", guarded(forbid(arguments=paris)), Code.GUARDRAIL
    berlin = limits.compile({"timezone": {"equals": "Europe/Berlin"}})
    yield "argument does not match", guarded(forbid(arguments=berlin)), Code.ALLOWED
    silent = guarded(forbid(arguments=berlin))
    silent.facts.lines = {silent.key: (replace(silent.facts.lines[silent.key][0], limits=UNLIMITED),)}
    silent.call.arguments, silent.call.states_arguments = {}, False
    yield "arguments not stated", silent, Code.GUARDRAIL
    both = guarded(Guardrail("x", Effect.HOLD))
    both.facts.lines = {both.key: (replace(both.facts.lines[both.key][0], ask=True),)}
    both.call.approval = "approval-1"
    yield "asks and holds, released", both, Code.ALLOWED
    yield from _held_calls()
    for name, session, until in (("another session", None, NOW + 999), ("settled until before", 1, NOW - 1)):
        stale = guarded(forbid())
        known = stale.facts.sessions["run-1"]
        stale.facts.settled[stale.key[:2], "run-1"] = known if session else replace(known), until, ()
        yield f"kept of {name}", stale, Code.GUARDRAIL
    weak = guarded(Guardrail("x", Effect.STEP_UP, max_age=1e6, acr=("phr",)))
    yield "signed in too weakly", weak, Code.REAUTHENTICATION_DUE


def _held_calls() -> Iterator[tuple[str, World, Code]]:
    """Calls that a risk signal holds: for the agent, the person or the session, until a person approves the call."""
    for name in ("agent", "person", "session"):
        for released in (False, True):
            world = worlds.allowed()
            hold(world, name)
            world.call.approval = "approval-1" if released else None
            yield f"held {name} {released}", world, Code.ALLOWED if released else Code.APPROVAL_REQUIRED


def hold(world: World, name: str) -> None:
    """Let a risk signal hold an agent, a person or a session of a world."""
    if name == "agent":
        world.facts.is_held = True
    elif name == "person":
        world.facts.held_people = frozenset({"alice"})
    else:
        world.facts.sessions["run-1"] = replace(world.facts.sessions["run-1"], is_held=True)


def about_what_is_held(policy: ModuleType) -> Iterator[str]:
    """What a risk signal holds is listed, gets no token of a system and no introspection; a sign-in goes on."""
    for name in ("agent", "person", "session"):
        world = worlds.allowed()
        hold(world, name)
        if not policy.visible_tools(world.call, world.facts, world.now):
            yield f"list: held {name}"
        live = policy.still_live(world.call, world.facts, world.now)
        issued = policy.may_issue(world.issuance, world.facts, world.now)
        signed_in = policy.may_issue(replace(world.issuance, system=None), world.facts, world.now)
        if (live.effect, issued.effect, signed_in.effect) != (Effect.HOLD, Effect.HOLD, Effect.ALLOW):
            yield f"held {name}: {live.effect}, {issued.effect}, {signed_in.effect}"
        if (live.code, issued.code) != (Code.APPROVAL_REQUIRED, Code.APPROVAL_REQUIRED):
            yield f"held {name}: {live.code}, {issued.code}"
    other = worlds.allowed()
    other.facts.held_people = frozenset({"bob"})
    if not policy.decide(other.call, other.facts, other.now).allowed:
        yield "held: another person"


def about_what_is_settled(policy: ModuleType) -> Iterator[str]:
    """What is kept of a session ends with a sign-in that is fresh enough, and with the terms of session policies."""
    step_up = Guardrail("x", Effect.STEP_UP, max_age=90.0)
    policies = rules.levels([rules.Policy("short", max_age=90.0)])
    for name, guardrails, terms in (("guardrail", (step_up,), ()), ("policy", (), policies)):
        world = worlds.allowed()
        session = replace(world.facts.sessions["run-1"], authenticated_at=NOW - 60, signed_in=rules.SignedIn(NOW - 60))
        began = replace(session, began=NOW - 60, last_used=NOW)
        world.facts = replace(world.facts, guardrails=guardrails, session_terms=terms, sessions={"run-1": began})
        codes = [policy.decide(world.call, world.facts, NOW + later).code for later in (0, 1, 40)]
        if codes != [Code.ALLOWED, Code.ALLOWED, Code.REAUTHENTICATION_DUE]:
            yield f"settled by a {name}: {codes}"
    world = worlds.allowed()
    lines = {world.key: world.facts.lines[world.key], (*world.key[:2], None): world.facts.lines[world.key]}
    world.facts = replace(world.facts, session_terms=policies, lines=lines)
    alone, bare = (replace(world.call, token=None, session=None, person=person) for person in (None, "alice"))
    if [policy.decide(each, world.facts, NOW).allowed for each in (alone, bare)] != [True, False]:
        yield "settled without a session"


def about_forbidden_tools(policy: ModuleType) -> Iterator[str]:
    """What is forbidden whatever the call: no list shows it, and no token is for it."""
    forbid = partial(Guardrail, "x", Effect.DENY)
    paris, labels = limits.compile({"timezone": {"equals": "Europe/Paris"}}), frozenset({"pii"})
    for name, rule, shows, issues in (
        ("forbidden", forbid(), False, False),
        ("of another", forbid(systems=frozenset({"git"})), True, True),
        ("observed", forbid(observes=True), True, True),
        ("held", Guardrail("x", Effect.HOLD), True, True),
        ("by arguments", forbid(arguments=paris), True, True),
        ("by an absent argument", forbid(arguments=limits.compile({"unit": {"absent": True}})), True, True),
        ("by labels", forbid(labels=labels), True, True),
        ("by depth", forbid(depth=1), True, True),
        ("broken", forbid(is_broken=True, labels=labels), False, False),
    ):
        world = guarded(rule)
        if bool(policy.visible_tools(world.call, world.facts, world.now)) is not shows:
            yield f"list: {name}"
        verdict = policy.may_issue(world.issuance, world.facts, world.now)
        if verdict.code is not (Code.ALLOWED if issues else Code.GUARDRAIL):
            yield f"issue: {name}"


MUTANTS: Final = (
    ("is_fresh = now - session.authenticated_at <= rule.max_age", "is_fresh = True"),
    ("return call.approval is not None", "return False"),
    ("return call.approval is not None", "return True"),
    ("until = min(until, session.authenticated_at + rule.max_age)", "pass"),
    ("if session is not None and rule.effect is Effect.STEP_UP and _is_met", "if session is not None and _is_met"),
    ("session is None or rule.is_broken or _is_of_session", "session is None or _is_of_session"),
    ("return is_fresh and (not rule.acr or covers(signed_in.acr, signed_in.amr, rule.acr))", "return is_fresh"),
    ("return is_fresh and (not rule.acr or ", "return not rule.acr or ("),
    ("tool.action in rule.actions", "tool.action not in rule.actions"),
    ("(rule.labels is None or not", "(not"),
    ("not rule.labels.isdisjoint(session.labels)", "rule.labels.isdisjoint(session.labels)"),
    ("(not listing and _arguments_match(rule, call, now))", "_arguments_match(rule, call)"),
    ("(not listing and _arguments_match(rule, call, now))", "False"),
    ("not call.states_arguments or ", ""),
    ("        and not rule.observes\n", ""),
    ("rule.depth == 0 and all", "all"),
    ("(call.depth or len(call.chain)) >= rule.depth", "True"),
    ("all(each is None for each in conditions)", "True"),
    ("conditions = (rule.labels, rule.session_risk, rule.arguments, rule.hours)", "conditions = ()"),
    ("return rule.is_broken or (\n        (rule.systems", "return (\n        (rule.systems"),
    ("return rule.is_broken or (\n        (session is None", "return (\n        (session is None"),
)

RESTRICTIONS: Final = (
    ('and kept[0] is facts.sessions.get(call.session or "")', ""),
    (" and now < kept[1]", ""),
    ("-guardrail_rules.STRICTNESS[each.effect]", "guardrail_rules.STRICTNESS[each.effect]"),
    ('if each.mode == "enforce"', "if True"),
    ("if line.ask and call.approval is None:", "if False:"),
    ("if line.ask and call.approval is None:", "if line.ask:"),
    ("if held and call.approval is None:", "if held:"),
    ("if held and call.approval is None:", "if False:"),
    ("if session is not None or not facts.session_terms:", "if True:"),
    ("min(until, session_terms.terms_until(call, facts, tool.risk.rank))", "until"),
)
