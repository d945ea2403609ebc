"""The judge of a submission agrees with a slow and obvious reference, and each spoiled fact has its own code."""

from __future__ import annotations

from random import Random

import pytest

from governance.reviews.decisions import rules
from governance.reviews.decisions.rules import Case, Reason, Verdict
from tests import seeds
from tests.governance.reviews.decisions import submission_cases as cases
from tests.governance.reviews.decisions.submission_cases import SPOILERS, Spoiler
from tests.governance.reviews.decisions.submission_reference import Reference, reference


def as_reference(reason: Reason | None, verdict: Verdict, case: Case) -> Reference:
    """Return what the judge says in the form of the reference."""
    if reason is None:
        return [(list(each.kept), each.supersedes, each.asks, each.outcome) for each in verdict.items]
    items = {str(draft.item): draft.item for draft in case.drafts}
    code, detail = reason.error.code, reason.detail
    if code == cases.OUTDATED:
        return code, [(items[each["item"]], each["field"]) for each in detail["answers"]]
    if code == cases.CONFLICT:
        return code, (items[detail["item"]], detail["why"])
    if reason.violation is not None:
        return code, (items[detail["item"]], reason.violation.policy)
    return code, items[detail["item"]] if detail else None


def compare(random: Random, count: int) -> None:
    codes = set[str]()
    for number in range(count):
        case = cases.scrambled(random)
        verdict, expected = rules.judge(case), reference(case)
        judged = as_reference(verdict.refusal, verdict, case)
        assert judged == expected, f"case {number}: {case}"
        codes.add(judged[0] if isinstance(judged, tuple) else "allowed")
    assert codes == {"allowed", *(spoiler.code for spoiler in SPOILERS)}, "each code comes up"


def test_the_judge_agrees_with_the_reference() -> None:
    compare(seeds.chance(), seeds.cases())


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_the_judge_agrees_with_the_reference_in_a_million_cases() -> None:
    compare(seeds.chance("soak"), 1_000_000)


@pytest.mark.parametrize("spoiler", SPOILERS, ids=lambda spoiler: spoiler.name)
def test_spoiling_any_one_fact_of_an_allowed_case_has_its_own_code(spoiler: Spoiler) -> None:
    random = seeds.chance(spoiler.name)
    for number in range(seeds.cases(1_000, short=40)):
        case = cases.allowed(random)
        assert rules.judge(case).refusal is None, f"case {number}: {case}"
        spoiled = spoiler.spoil(case, random)
        reason = rules.judge(spoiled).refusal
        assert reason is not None, f"case {number}: {spoiled}"
        assert reason.error.code == spoiler.code, f"case {number}: {spoiled}"
        if spoiler.detail is not None:
            name, value = spoiler.detail
            detail = reason.detail["answers"][0] if spoiler.code == cases.OUTDATED else reason.detail
            assert detail[name] == value, f"case {number}: {spoiled}"
