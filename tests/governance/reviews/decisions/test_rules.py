"""The judge of a submission agrees with a slow and obvious reference, and each spoiled fact has its own code."""

from __future__ import annotations

import pytest

from governance.reviews.decisions import rules
from governance.reviews.decisions.rules import Case, Reason, Verdict
from tests.governance.reviews.decisions import submission_cases as cases
from tests.governance.reviews.decisions.submission_cases import SEED, SPOILERS, Spoiler
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


SOAK = (pytest.mark.soak, pytest.mark.timeout(3_600))


@pytest.mark.parametrize(("first", "count"), [(0, 20_000), pytest.param(20_000, 1_000_000, marks=SOAK)])
def test_the_judge_agrees_with_the_reference(first: int, count: int) -> None:
    codes = set[str]()
    for number in range(first, first + count):
        case = cases.scrambled(cases.numbered(number))
        verdict, expected = rules.judge(case), reference(case)
        judged = as_reference(verdict.refusal, verdict, case)
        assert judged == expected, f"seed {SEED}, case {number}: {case}"
        codes.add(judged[0] if isinstance(judged, tuple) else "allowed")
    assert codes == {"allowed", *(spoiler.code for spoiler in SPOILERS)}, "each code comes up"


@pytest.mark.parametrize("spoiler", SPOILERS, ids=lambda spoiler: spoiler.name)
def test_spoiling_any_one_fact_of_an_allowed_case_has_its_own_code(spoiler: Spoiler) -> None:
    for number in range(40):
        random = cases.numbered(number)
        case = cases.allowed(random)
        assert rules.judge(case).refusal is None, f"seed {SEED}, case {number}: {case}"
        spoiled = spoiler.spoil(case, random)
        reason = rules.judge(spoiled).refusal
        assert reason is not None, f"seed {SEED}, case {number}: {spoiled}"
        assert reason.error.code == spoiler.code, f"seed {SEED}, case {number}: {spoiled}"
        if spoiler.detail is not None:
            name, value = spoiler.detail
            detail = reason.detail["answers"][0] if spoiler.code == cases.OUTDATED else reason.detail
            assert detail[name] == value, f"seed {SEED}, case {number}: {spoiled}"
