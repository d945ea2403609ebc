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
from tests.entitlements import worlds
from tests.entitlements.worlds import World


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
    ("now - signed_in <= rule.max_age", "now - signed_in <= 2 * rule.max_age"),
    ("return call.approval is not None", "return False"),
    ("return call.approval is not None", "return True"),
    ("tool.action in rule.actions", "tool.action not in rule.actions"),
    ("rule.labels is None or session is None or not", "rule.labels is None or session is not None and not"),
    ("not rule.labels.isdisjoint(session.labels)", "rule.labels.isdisjoint(session.labels)"),
    ("(not listing and _arguments_match(rule, call))", "_arguments_match(rule, call)"),
    ("(not listing and _arguments_match(rule, call))", "False"),
    ("not call.states_arguments or ", ""),
    ("        and not rule.observes\n", ""),
    ("rule.depth == 0 and all", "all"),
    ("(call.depth or len(call.chain)) >= rule.depth", "True"),
    ("all(each is None for each in conditions)", "True"),
    ("conditions = (rule.labels, rule.session_risk, rule.arguments, rule.hours)", "conditions = ()"),
    ("return rule.is_broken or (\n        (rule.systems", "return (\n        (rule.systems"),
    ("return rule.is_broken or (\n        (rule.labels", "return (\n        (rule.labels"),
)
