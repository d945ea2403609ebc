from collections.abc import Iterable

import pytest

from entitlements.words import Risk
from governance.approval_policies import rules as policy_rules
from governance.conflicts_of_interest.routing import Stage


@pytest.mark.parametrize(
    ("risks", "want"),
    [([Risk.LOW, Risk.HIGH, Risk.MEDIUM], Risk.HIGH), ([Risk.LOW], Risk.LOW), ([], Risk.CRITICAL)],
)
def test_the_highest_risk_counts_and_nothing_known_counts_as_critical(risks: list[Risk], want: Risk) -> None:
    assert policy_rules.highest(risks) is want


SPONSOR, OWNER, SECURITY = Stage.SPONSOR, Stage.SYSTEM_OWNER, Stage.SECURITY


@pytest.mark.parametrize(
    "policy",
    [
        {**policy_rules.DEFAULT_POLICY, Risk.LOW: ()},
        {**policy_rules.DEFAULT_POLICY, Risk.HIGH: (SPONSOR,)},
        {**policy_rules.DEFAULT_POLICY, Risk.HIGH: (SPONSOR, SPONSOR)},
        {**policy_rules.DEFAULT_POLICY, Risk.CRITICAL: (SPONSOR, SECURITY)},
        {Risk.LOW: (SPONSOR,)},
    ],
)
def test_a_policy_never_asks_for_less_than_the_product_does(policy: policy_rules.Policy) -> None:
    with pytest.raises(policy_rules.PolicyTooWeak):
        policy_rules.check_policy(policy)


@pytest.mark.parametrize(
    "stages",
    [
        (Stage.MANAGER, SPONSOR),
        (SPONSOR, SPONSOR),
        (SPONSOR, "nobody"),
        (SPONSOR, "group:"),
        (SPONSOR, *[SECURITY] * 6),
        (SPONSOR, *["group:dpo"] * 4, *[SECURITY] * 4),
    ],
)
def test_a_policy_asks_nothing_that_cannot_be_answered(stages: tuple[str, ...]) -> None:
    with pytest.raises(policy_rules.PolicyMalformed):
        policy_rules.check_policy({**policy_rules.DEFAULT_POLICY, Risk.LOW: stages})


def test_a_policy_may_ask_for_more() -> None:
    more = {**policy_rules.DEFAULT_POLICY, Risk.LOW: (SPONSOR, OWNER, SECURITY, SECURITY, "group:dpo", "group:dpo")}
    policy_rules.check_policy(more)
    with pytest.raises(policy_rules.PolicyTooWeak):
        policy_rules.check_grows(more)
    policy_rules.check_grows(policy_rules.DEFAULT_POLICY)


@pytest.mark.parametrize(
    ("needed", "present", "want"),
    [
        ([SPONSOR], [SPONSOR, OWNER], [OWNER]),
        ([SPONSOR, OWNER], [SPONSOR, OWNER], []),
        ([SECURITY], [SPONSOR, OWNER], []),
        ([SPONSOR], [SPONSOR], []),
        ([SECURITY], [SECURITY, SECURITY, SECURITY], [SECURITY, SECURITY]),
        ([SECURITY, SECURITY], [SECURITY, OWNER], []),
    ],
)
def test_a_narrowed_request_does_without_stages_only_when_the_rest_is_there(
    needed: Iterable[str], present: Iterable[str], want: list[str]
) -> None:
    assert list(policy_rules.no_longer_needed(needed, present).elements()) == want
