"""Why a decision was made: each code of the decision function is explained by the rule that gives it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from entitlements.codes import TABLE, Code
from governance.decisions import steps
from governance.decisions.steps import Outcome
from tests.entitlements import worlds
from tests.entitlements.worlds import CALL_SPOILERS, PERSON_SPOILERS, SPOILERS

EVERY = [*SPOILERS, *PERSON_SPOILERS, *CALL_SPOILERS]
ORDER = [rule.key for rule in steps.RULES]


@pytest.mark.parametrize("code", TABLE)
def test_each_code_belongs_to_one_rule_which_refuses_in_a_decision_of_that_code(code: Code) -> None:
    rules = [rule for rule in steps.RULES if code in rule.codes]
    assert len(rules) == (code is not Code.ALLOWED)
    said = steps.of(code, ())
    assert [step.rule for step in said if step.outcome is Outcome.REFUSED] == rules
    assert all(step.rule.asks for step in said)


def test_all_rules_of_an_allowed_call_passed() -> None:
    assert {step.outcome for step in steps.of(Code.ALLOWED, ())} == {Outcome.PASSED}


@pytest.mark.parametrize("spoil", EVERY, ids=lambda spoil: spoil.name)
def test_what_the_decision_function_says_is_explained_by_the_rule_that_gives_it(spoil: worlds.Spoiler) -> None:
    verdict = spoil(worlds.allowed()).decide()
    written = [f"{reason.code}: {reason.sentence}" for reason in verdict.reasons]
    refused = [step for step in steps.of(verdict.code, steps.read(written)) if step.outcome is Outcome.REFUSED]
    assert [verdict.code in step.rule.codes for step in refused] == [True]
    assert [each.sentence for each in refused[0].reasons] == [reason.sentence for reason in verdict.reasons]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.name)
def test_the_order_of_rules_is_that_of_the_decision_function(spoil: worlds.Spoiler) -> None:
    """What is asked later never speaks before it."""
    for other in SPOILERS:
        world = other(worlds.allowed())
        with suppress(KeyError):  # where there is nothing left to spoil
            assert steps.place(spoil(world).decide().code) <= steps.place(spoil.code), other.name
